"""The usual activation in one statement: it writes and answers as the general way does, and waits where that waits."""

import asyncio
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from services import keys, partners
from services.db import Row
from services.delivery.tables import Event
from services.keys import KeyEvent
from services.sites import Activated, KeyRevoked
from services.sites.administration_tables import RefusedActivation
from services.sites.tables import Installation, SilenceTimer
from services.usage import Line
from tests.support.locks import somebody_waits_for_a_lock
from tests.support.machine import Machine
from tests.support.statements import counted
from tests.support.world import World

_OWN = {"id", "site_id", "installation_id", "key_id", "name", "code_hash", "code_sealed", "code_masked", "receipt"}
_SAID = {"site_id", "key_id", "installation_id", "echo", "receipt", "lease"}


async def _refuse_another(world: World, issued: keys.IssuedKey) -> None:
    """Something unusual that changes nothing for whoever comes next: the general way looks at it."""
    own = {"site_id": issued.key.site_id, "key_id": issued.key.id, "id": uuid4(), "installation_id": uuid4()}
    came = {"code": "key_already_bound", "product": "site_manager", "version": "7", "hostname": "h", "attempts": 1}
    at = {"first_at": world.clock(), "last_at": world.clock()}
    async with world.sessions.begin() as db:
        db.add(RefusedActivation(**own, **came, **at, credential_sha256=b"", address=None, allowed_at=None))


def _shown(row: Row) -> dict[str, Any]:
    return {one.key: getattr(row, one.key) for one in type(row).__table__.columns if one.key not in _OWN}


async def _written(world: World, machine: Machine) -> list[dict[str, Any]]:
    async with world.sessions() as db:
        rows: list[Row] = [await world.key_of(machine)]
        for table in (Installation, Line, SilenceTimer, KeyEvent):
            rows += await db.scalars(select(table).where(table.site_id == machine.site_id))
        subject = keys.subject_of(rows[0])  # type: ignore[arg-type]
        rows += await db.scalars(select(Event).where(Event.subject == subject))
    return sorted(({**_shown(row), "table": row.__tablename__} | {"subject": ""} for row in rows), key=repr)


def _said(bound: Activated) -> dict[str, Any]:
    return {name: value for name, value in asdict(bound).items() if name not in _SAID}


async def test_it_writes_and_answers_what_the_general_way_does_in_two_statements(world: World) -> None:
    await world.policy(heartbeat_seconds=600, standalone_seats=3)
    async with world.sessions.begin() as db:
        await partners.set_policy(db, "distributor", world.distributor.id, warn_after_seconds=2 * 86_400)
        await partners.set_policy(db, "msp", world.msp.id, final_before_seconds=86_400, close_grace_seconds=3_600)
    said: list[dict[str, Any]] = []
    written: list[list[dict[str, Any]]] = []
    statements: list[int] = []
    for unusual in (False, True):
        issued = await world.key(f"site {unusual}")
        async with world.sessions.begin() as db:
            await keys.set_key_policy(db, issued.key, {"disable_after_seconds": 5 * 86_400})
        if unusual:
            await _refuse_another(world, issued)
        machine = Machine(issued.code, installation_id=uuid4(), secret="s" * 43)
        world.clock.now = world.clock.now.replace(microsecond=0)
        with counted() as sent:
            said.append(_said(await world.activate(machine, name="n", timezone="Europe/Rome", console_url="https://c")))
        statements.append(len(sent))
        written.append(await _written(world, machine))
        next_seconds = said[-1].pop("next_heartbeat_seconds")
        assert 300 < next_seconds <= 900
    assert said[0] == said[1]
    public_keys = [row.pop("public_key") for rows in written for row in rows if "public_key" in row]
    assert len(public_keys) == 2
    assert written[0] == written[1]
    assert statements[0] == 2 < statements[1]


async def test_a_key_that_is_revoked_while_it_is_waited_for_is_not_bound(world: World) -> None:
    issued = await world.key()
    async with world.sessions.begin() as db:
        key = await keys.of_site_for_update(db, issued.key.site_id)
        activating = asyncio.create_task(world.activate(Machine(issued.code)))
        await somebody_waits_for_a_lock(world.sessions)
        keys.revoke(db, key, reason="r", actor="test", now=world.clock())
    with pytest.raises(KeyRevoked):
        await activating
    async with world.sessions() as db:
        assert (await db.scalars(select(Installation))).all() == []
