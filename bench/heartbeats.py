"""Durable heartbeats over HTTP: how many a second, and how long each takes, beside the three yardsticks."""

from bench.rows import Row, at_least, at_most, in_turn
from bench.stand import Stand

_FASTAPI, _BARE, _TEXTBOOK, _OURS = "/bench/fastapi", "/bench/bare", "/bench/textbook", "/v1/heartbeats"
_SECONDS = 3
_ROUNDS = 3
_FASTEST = 30_000
"""More heartbeats a second than any of these answers."""


def rows(stand: Stand) -> list[Row]:
    """Measure all in turn."""
    for path in (_OURS, _FASTAPI, _BARE, _TEXTBOOK):
        _rate(stand, path, 2)
    ours, fastapi, bare, textbook = in_turn(
        _ROUNDS,
        lambda: _rate(stand, _OURS),
        lambda: _rate(stand, _FASTAPI),
        lambda: _rate(stand, _BARE),
        lambda: _rate(stand, _TEXTBOOK),
    )
    half = ours / 2
    p99, p99_fastapi = in_turn(_ROUNDS, lambda: _p99(stand, _OURS, half), lambda: _p99(stand, _FASTAPI, half))
    name = "durable heartbeats over HTTP"
    return [
        at_least(name, ours / fastapi, "x", f"{ours:,.0f}/s; do-nothing FastAPI route {fastapi:,.0f}/s", 2.5),
        at_least(name, ours / bare, "x", f"{ours:,.0f}/s; bare ASGI callable {bare:,.0f}/s", 0.85),
        at_least(name, ours / textbook, "x", f"{ours:,.0f}/s; textbook ORM {textbook:,.0f}/s", 30),
        at_most(
            "p99 at half of that load",
            p99 / p99_fastapi,
            "x",
            f"{p99:.1f} ms; do-nothing FastAPI route {p99_fastapi:.1f} ms, both at {half:,.0f}/s",
            1.0,
        ),
    ]


def _rate(stand: Stand, path: str, seconds: float = _SECONDS) -> float:
    return stand.load(path, seconds=seconds, expected=int(_FASTEST * seconds)).rate


def _p99(stand: Stand, path: str, rate: float) -> float:
    return stand.load(path, seconds=_SECONDS, expected=int(rate * (_SECONDS + 2)), rate=rate).p99
