"""Policies of the four levels: what is set and what is in force, and who changes what within the vendor's bounds."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery, ids, keys, partners
from services.errors import Absent, Invalid
from services.keys import Key
from services.partners import PROGRAMME_ID, VENDOR_ID, Bound, Level, PartnerKind, Policy, Principal
from services.sites import spreading, standing

PolicySource = Literal["default", "programme", "distributor", "msp", "key"]

_EVERY = frozenset(partners.KNOBS)
# The vendor sets the bounds, the distributor acts within them, the MSP changes what concerns itself alone.
_MAY_CHANGE = {
    PartnerKind.MSP: frozenset({"warn_after_seconds", "standalone_seats"}),
    PartnerKind.DISTRIBUTOR: _EVERY,
    PartnerKind.VENDOR: _EVERY,
}


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A level's own values, those in force there, and from which level each comes."""

    level: Level
    subject_id: UUID
    own: Mapping[str, int | None]
    in_force: Policy
    came_from: Mapping[str, PolicySource]


async def policy_view(db: AsyncSession, caller: Principal, level: Level, subject_id: UUID, now: datetime) -> PolicyView:
    """Give the policy at a level that the caller sees; raises `Absent`."""
    layers = await _layers(db, caller, level, subject_id, now)
    policy, came_from = Policy(), dict.fromkeys(partners.KNOBS, "default")
    for name, own in layers:
        policy = partners.overlay(policy, own)
        came_from |= {knob: name for knob, value in own.items() if value is not None}
    return PolicyView(level, subject_id, layers[-1][1], policy, came_from)  # type: ignore[arg-type]


async def lock_policies(db: AsyncSession) -> None:
    """Let no other policy be changed until the transaction ends."""
    await db.execute(text("select pg_advisory_xact_lock(hashtext('policies'))"))


async def change_policy(
    db: AsyncSession,
    caller: Principal,
    level: Level,
    subject_id: UUID,
    values: Mapping[str, int | None],
    now: datetime,
) -> PolicyView:
    """Set some of a level's own values, None taking one back; the sites below are told soon, a key's at once.

    Twice is once. Raises `Absent`, `Invalid` for what is not the caller's to change, `PolicyOutOfBounds`.
    """
    await lock_policies(db)
    before = await policy_view(db, caller, level, subject_id, now)
    changed = {knob: value for knob, value in values.items() if before.own.get(knob) != value}
    _check_may_change(caller, before, changed)
    partners.check_values(changed, await partners.bounds(db))
    if changed and level == "key":
        key = await keys.visible_key(db, caller, subject_id)
        await change_of_key(db, key.site_id, values=changed, actor=caller.actor, now=now)
    elif changed:
        await partners.set_policy(db, level, subject_id, **changed)
        await partners.spread_from(db, level, subject_id, now)
    if changed:
        was = {knob: before.own.get(knob) for knob in changed}
        await _tell(db, caller, (level, subject_id), was, changed, now)
    return await policy_view(db, caller, level, subject_id, now)


async def change_of_key(
    db: AsyncSession, site_id: UUID, *, values: Mapping[str, int | None], actor: str, now: datetime
) -> Policy:
    """Change a key's own values, None taking one back, and tell its site; gives the policy then in force.

    Twice is once. Raises `PolicyOutOfBounds`.
    """
    partners.check_values(values, await partners.bounds(db))
    key = await standing.lock(db, site_id)
    own = await keys.own_policy(db, key)
    changed = {knob: value for knob, value in values.items() if own[knob] != value}
    if changed:
        await keys.set_key_policy(db, key, changed)
        why = "; ".join(f"{knob}: {_show(own[knob])} to {_show(value)}" for knob, value in changed.items())
        keys.note(db, key, "policy_changed", actor=actor, now=now, reason=why)
        await spreading.tell(db, [key], now)
    return await keys.policy_of_key(db, key, now)


async def change_bounds(db: AsyncSession, caller: Principal, wanted: Mapping[str, Bound], now: datetime) -> None:
    """Set the vendor's bounds of some knobs. What was set outside them comes to the nearer bound.

    Raises `WrongPartner`, `Invalid`.
    """
    caller.one_of(PartnerKind.VENDOR)
    await lock_policies(db)
    before = await partners.bounds(db)
    changed = {knob: bound for knob, bound in wanted.items() if before[knob] != bound}
    if changed:
        await partners.set_bounds(db, changed)
        await _bring_within(db, caller, changed, now)
        was = {knob: before[knob]._asdict() for knob in changed}
        after = {knob: bound._asdict() for knob, bound in changed.items()}
        await partners.note(db, caller, "policy.bounds_changed", "bounds", before=was, after=after, now=now)


async def _bring_within(db: AsyncSession, caller: Principal, changed: Mapping[str, Bound], now: datetime) -> None:
    """Bring to the nearer bound what was set outside; each level and each key tells of it as of any other change."""
    before: dict[tuple[Level, UUID], dict[str, int | None]] = defaultdict(dict)
    after: dict[tuple[Level, UUID], dict[str, int | None]] = defaultdict(dict)
    of_keys: dict[Key, list[str]] = defaultdict(list)
    for knob, bound in changed.items():
        for level, was, value in await partners.bring_within(db, knob, bound):
            before[level][knob], after[level][knob] = was, value
        if knob in keys.KEY_KNOBS:
            for key, was, value in await keys.bring_within(db, knob, bound):
                of_keys[key].append(f"{knob}: {was} to {value}, as the bounds are now")
    for level, values in after.items():
        await _tell(db, caller, level, before[level], values, now)
    for key, what in of_keys.items():
        keys.note(db, key, "policy_changed", actor=caller.actor, now=now, reason="; ".join(what))
    await partners.spread_from(db, "programme", PROGRAMME_ID, now)


async def _layers(
    db: AsyncSession, caller: Principal, level: Level, subject_id: UUID, now: datetime
) -> list[tuple[Level, dict[str, int | None]]]:
    """Give the levels from the programme down to one that the caller sees, with their own values."""
    chain: list[tuple[Level, UUID]] = [("programme", PROGRAMME_ID)]
    key: Key | None = None
    msp_id = subject_id
    if level == "key":
        key = await keys.visible_key(db, caller, subject_id)
        msp_id = key.msp_id
        if caller.kind is PartnerKind.MSP and msp_id != caller.partner_id:
            raise Absent
    if level == "distributor":
        chain.append(("distributor", (await partners.one_distributor(db, caller, subject_id)).id))
    elif level in ("msp", "key"):
        await partners.one_msp(db, caller, msp_id)
        chain += [("distributor", await partners.distributor_of(db, msp_id, now)), ("msp", msp_id)]
    found = [(name, await partners.own_values(db, name, one)) for name, one in chain]
    return found if key is None else [*found, ("key", await keys.own_policy(db, key))]


def _check_may_change(caller: Principal, view: PolicyView, changed: Mapping[str, int | None]) -> None:
    if view.level == "programme":
        caller.one_of(PartnerKind.VENDOR)
    if view.level == "distributor":
        caller.one_of(PartnerKind.VENDOR, PartnerKind.DISTRIBUTOR)
    for knob in changed:
        # A period is closed for a whole distributor.
        nowhere = knob == "close_grace_seconds" and view.level in ("msp", "key")
        if nowhere or knob not in _MAY_CHANGE[caller.kind]:
            raise Invalid("This is not yours to change here.", pointer=f"/{knob}")


async def _tell(
    db: AsyncSession,
    caller: Principal,
    of_level: tuple[Level, UUID],
    before: Mapping[str, int | None],
    after: Mapping[str, int | None],
    now: datetime,
) -> None:
    """Note the change for those whom it concerns, and let their programs know."""
    level, subject_id = of_level
    shown = "programme" if level == "programme" else ids.show(level, subject_id)
    msp_id = subject_id if level == "msp" else None
    if level == "key":
        msp_id = (await keys.visible_key(db, caller, subject_id)).msp_id
    distributor_id = subject_id if level == "distributor" else None
    concerned = {"msp_id": msp_id, "distributor_id": distributor_id}
    await partners.note(db, caller, "policy.changed", shown, before=before, after=after, **concerned, now=now)
    partner_id = msp_id or distributor_id or VENDOR_ID
    delivery.emit(db, partner_id=partner_id, kind="policy.changed", subject={level: shown}, now=now)


def _show(value: int | None) -> str:
    return "as the MSP's" if value is None else str(value)
