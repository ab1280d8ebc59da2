"""The jobs. Each looks what is due and does it, step by step, one transaction a step; twice is once.

They take nothing and hold no rule: what a lost or a doubled ring changes is only when.
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from services import reports, sites
from services.clock import Clock
from services.db import Sessions
from services.delivery import Carrier, PostOffice
from services.signing import Vault

Context = dict[Any, Any]
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tools:
    """What the worker made at its start; jobs find it in their context as `tools`."""

    sessions: Sessions
    clock: Clock
    vault: Vault | None = None
    office: PostOffice | None = None
    carrier: Carrier | None = None


async def sweep(context: Context) -> None:
    """Disable the keys of sites that have been silent too long."""
    tools: Tools = context["tools"]
    while True:
        async with tools.sessions.begin() as db:
            swept = await sites.sweep(db, tools.clock())
        if swept.disabled:
            _log.info("swept", disabled=swept.disabled, rearmed=swept.rearmed)
        if not (swept.disabled or swept.rearmed):
            return


async def close_periods(context: Context) -> None:
    """Close every period that is due, in order, and write, render and issue its reports."""
    tools: Tools = context["tools"]
    await _close_due(tools)
    await _write_waiting(tools)
    await _issue_written(tools)


async def _close_due(tools: Tools) -> None:
    while True:
        async with tools.sessions() as db:
            waiting = await reports.due(db, tools.clock())
        if not waiting:
            return
        for distributor_id in waiting:
            async with tools.sessions.begin() as db:
                closed = await reports.close(db, distributor_id, tools.clock())
            if closed is not None:
                _log.info("closed", distributor=str(distributor_id), month=closed.period.month)


async def _write_waiting(tools: Tools) -> None:
    async with tools.sessions() as db:
        waiting = await reports.unfinished(db)
    for distributor_id in waiting:
        written: UUID | None = distributor_id
        while written is not None:
            async with tools.sessions.begin() as db:
                written = await reports.write_next(db, distributor_id)


async def _issue_written(tools: Tools) -> None:
    """Issue what is written; a report that cannot be rendered is left for the next time, and holds up no other."""
    failed: set[UUID] = set()
    while True:
        async with tools.sessions() as db:
            written = await reports.next_unissued(db, without=failed)
        if written is None:
            return
        try:
            forms = await asyncio.to_thread(reports.render, written.document)
        except Exception:
            _log.exception("render failed", report=str(written.report_id))
            failed.add(written.report_id)
            continue
        async with tools.sessions.begin() as db:
            if await reports.issue(db, written.report_id, forms):
                _log.info("issued", report=str(written.report_id))
