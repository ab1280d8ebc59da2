"""Durable heartbeats over HTTP: how many a second, and how long each takes, beside the three yardsticks."""

from collections.abc import Iterator
from statistics import median

from bench.rows import Row, at_least, at_most, in_turn
from bench.stand import Stand

_FASTAPI, _BARE, _TEXTBOOK, _OURS = "/bench/fastapi", "/bench/bare", "/bench/textbook", "/v1/heartbeats"
_SECONDS = 3
_ROUNDS = 3
_FASTEST = 20_000
"""More heartbeats a second than are answered."""


def rows(stand: Stand) -> Iterator[Row]:
    """Measure all in turn."""
    paths = (_OURS, _FASTAPI, _BARE, _TEXTBOOK)
    for path in paths:
        _rate(stand, path, 2)
    spent: dict[str, list[float]] = {path: [] for path in paths}
    measures = [lambda path=path: _rate(stand, path, spent=spent[path]) for path in paths]
    ours, fastapi, bare, textbook = in_turn(_ROUNDS, *measures)
    said = {path: f"{rate:,.0f}/s, {median(spent[path]):.0f} us of CPU" for path, rate in
            zip(paths, (ours, fastapi, bare, textbook), strict=True)}  # fmt: skip
    name = "durable heartbeats over HTTP"
    own = said[_OURS]
    yield at_least(name, ours / fastapi, "x", f"{own}; do-nothing FastAPI route {said[_FASTAPI]}", 2.5)
    yield at_least(name, ours / bare, "x", f"{own}; bare ASGI callable {said[_BARE]}", 0.85)
    yield at_least(name, ours / textbook, "x", f"{own}; textbook ORM {said[_TEXTBOOK]}", 30)
    half = ours / 2
    p99, p99_fastapi = in_turn(_ROUNDS, lambda: _p99(stand, _OURS, half), lambda: _p99(stand, _FASTAPI, half))
    beside = f"{p99:.1f} ms; do-nothing FastAPI route {p99_fastapi:.1f} ms, both at {half:,.0f}/s"
    yield at_most("p99 at half of that load", p99 / p99_fastapi, "x", beside, 1.0)


def _rate(stand: Stand, path: str, seconds: float = _SECONDS, spent: list[float] | None = None) -> float:
    """Give answers a second, and note the API's microseconds of CPU for each."""
    before = stand.api_cpu()
    load = stand.load(path, seconds=seconds, fresh=_fresh(path, _FASTEST * seconds))
    if spent is not None:
        spent.append(1e6 * (stand.api_cpu() - before) / load.requests)
    return load.rate


def _p99(stand: Stand, path: str, rate: float) -> float:
    return stand.load(path, seconds=_SECONDS, fresh=_fresh(path, rate * (_SECONDS + 2)), rate=rate).p99


def _fresh(path: str, count: float) -> int:
    """Only ours would notice a heartbeat that comes again."""
    return int(count) if path == _OURS else 0
