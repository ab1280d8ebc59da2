"""The jobs. Each looks what is due and does it, step by step, one transaction a step; twice is once.

They take nothing and hold no rule: what a lost or a doubled ring changes is only when.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from report_worker.press import Press
from services import reports, sites, usage
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
    press: Press = field(default_factory=Press)
    vault: Vault | None = None
    office: PostOffice | None = None
    carrier: Carrier | None = None


async def sweep(context: Context) -> None:
    """Hand over the sites that move now, spread changed policies, and climb the ladders of silent sites."""
    tools: Tools = context["tools"]
    await _move_due(tools)
    await _spread_policies(tools)
    while True:
        async with tools.sessions.begin() as db:
            swept = await sites.sweep(db, tools.clock())
        if swept.disabled:
            _log.info("swept", disabled=swept.disabled, rearmed=swept.rearmed)
        if swept.idle:
            return


async def _move_due(tools: Tools) -> None:
    moved = True
    while moved:
        async with tools.sessions.begin() as db:
            moved = await sites.moves.do_next(db, tools.clock())


async def _spread_policies(tools: Tools) -> None:
    told = True
    while told:
        async with tools.sessions.begin() as db:
            told = await sites.spreading.spread_next(db, tools.clock())


async def close_periods(context: Context) -> None:
    """Close every period that is due, in order, and write, render and issue its reports."""
    tools: Tools = context["tools"]
    await _write_waiting(tools)
    await _close_due(tools)
    await _issue_written(tools)
    await _cover_written(tools)
    await _state_issued(tools)


async def make_partitions(context: Context) -> None:
    """Make the ledger's months ahead; while heartbeats keep the table from being locked, the next ring tries again."""
    tools: Tools = context["tools"]
    while True:
        async with tools.sessions() as db:
            bound = await usage.next_bound(db, tools.clock())
        if bound is None:
            return
        async with tools.sessions.begin() as db:
            made = await usage.make_partition(db, bound)
        _log.info("partition made", name=made)


async def tell_last_day(context: Context) -> None:
    """Send every MSP its provisional report on the last day of its month."""
    tools: Tools = context["tools"]
    now = tools.clock()
    async with tools.sessions() as db:
        waiting = await reports.distributors_on_last_day(db, now)
    for distributor_id in waiting:
        told = True
        while told:
            async with tools.sessions.begin() as db:
                told = await reports.tell_next(db, distributor_id, now)


async def _close_due(tools: Tools) -> None:
    """Close one period after another, each written before the next: corrections are made of what it charges."""
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
        await _write_waiting(tools)


async def _write_waiting(tools: Tools) -> None:
    async with tools.sessions() as db:
        waiting = await reports.unfinished(db)
    for distributor_id in waiting:
        while True:
            async with tools.sessions.begin() as db:
                written = await reports.write_next(db, distributor_id)
            if written is None:
                break
            if written.held is not None:
                _log.error("report held", report=str(written.report_id), difference=written.held)


async def _issue_written(tools: Tools) -> None:
    """Issue what is written; a report that cannot be rendered is left for the next time, and holds up no other."""
    failed: set[UUID] = set()
    while True:
        async with tools.sessions() as db:
            written = await reports.next_unissued(db, without=failed)
        if written is None:
            return
        try:
            forms = await tools.press.render(reports.render, written.document)
        except Exception:
            _log.exception("render failed", report=str(written.report_id))
            failed.add(written.report_id)
            continue
        async with tools.sessions.begin() as db:
            if await reports.issue(db, written.report_id, forms):
                _log.info("issued", report=str(written.report_id))


async def _cover_written(tools: Tools) -> None:
    covered = True
    while covered:
        async with tools.sessions.begin() as db:
            covered = await reports.cover_next(db)


async def _state_issued(tools: Tools) -> None:
    """State what is issued for the distributors to invoice from, and file the forms."""
    async with tools.sessions() as db:
        waiting = await reports.unstated(db)
    for distributor_id, starts_at in waiting:
        async with tools.sessions.begin() as db:
            await reports.state(db, distributor_id, starts_at, tools.clock())
    while True:
        async with tools.sessions() as db:
            unfiled = await reports.next_unfiled(db)
        if unfiled is None:
            return
        forms = await tools.press.render(reports.render_statement, unfiled.document)
        async with tools.sessions.begin() as db:
            if await reports.file_statement(db, unfiled.statement_id, forms):
                _log.info("stated", statement=str(unfiled.statement_id))
