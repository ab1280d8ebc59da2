"""`tidemark ledger`: the ledger's partitions, and old months taken out of it."""

from datetime import datetime

from services import reports, usage
from services.db import make_engine, make_sessions
from services.settings import Settings


class StillNeeded(ValueError):
    """Something still needs the months that should be archived."""


async def show_ledger(settings: Settings) -> list[str]:
    """Say which partitions the ledger has."""
    engine = make_engine(settings.database_url, 1)
    try:
        async with make_sessions(engine)() as db:
            return [_described(one) for one in await usage.partitions(db)]
    finally:
        await engine.dispose()


async def archive(settings: Settings, before: str, now: datetime) -> list[str]:
    """Take the months before one out of the ledger as the owner of the schema; raises `StillNeeded`, `NotArchivable`.

    In two transactions: the long one, which sets aside what is carried on, locks nobody out.
    """
    engine = make_engine(settings.migrate_database_url or settings.database_url, 1)
    sessions = make_sessions(engine)
    try:
        async with sessions.begin() as db:
            before_at = await usage.prepare_archive(db, before)
            if needing := await reports.needing(db, before_at, now):
                raise StillNeeded("; ".join(needing))
        async with sessions.begin() as db:
            return _done(await usage.archive(db, before_at, now))
    finally:
        await engine.dispose()


def _described(one: usage.Partition) -> str:
    return f"{one.name}: {_instant(one.from_at, 'the beginning')} to {_instant(one.until_at, 'the end')}"


def _instant(at: datetime | None, otherwise: str) -> str:
    return otherwise if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _done(done: usage.LedgerArchive) -> list[str]:
    return [
        f"{done.entries} entries from before {done.before_at:%Y-%m-%d %H:%M} UTC are archived; "
        f"{done.carried} of them, what later months are counted from, are also carried on.",
        *(f"  ledger_archive.{name}" for name in done.partitions),
        "Dump these tables, then drop them when you wish: nothing reads them.",
    ]
