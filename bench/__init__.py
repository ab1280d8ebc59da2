"""Figures, not tests: every row of "Speed" in the targets, beside its yardstick, measured in one run.

`python -m bench` prints a table and writes `bench/results.json`; it fails only if something could not be measured.
"""
