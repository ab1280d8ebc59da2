"""Policies at the command line: shown, set, and tried on the present fleet."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ops.replay.command import read_duration
from ops.upkeep import operator, within
from services import ids, partners, sites
from services.partners import KNOBS, PROGRAMME_ID, Level, Trial
from services.settings import Settings
from services.sites import PolicyView

_SECONDS = "_seconds"
_SUBJECTS: tuple[Level, ...] = ("distributor", "msp", "key")


async def show(settings: Settings, named: str) -> list[str]:
    """Say what is in force at a level."""
    level, subject_id = read_level(named)

    async def look(db: AsyncSession, now: datetime) -> list[str]:
        return await _lines(db, await sites.policy_view(db, operator(now), level, subject_id, now))

    return await within(settings, look)


async def change(settings: Settings, named: str, given: Sequence[str]) -> list[str]:
    """Set values of a level, and say what is in force then."""
    level, subject_id = read_level(named)
    values = read_values(given)

    async def act(db: AsyncSession, now: datetime) -> list[str]:
        return await _lines(db, await sites.change_policy(db, operator(now), level, subject_id, values, now))

    return await within(settings, act)


async def try_out(settings: Settings, named: str, given: Sequence[str]) -> list[str]:
    """Say what values would do to the present fleet."""
    level, subject_id = read_level(named)
    values = read_values(given)

    async def look(db: AsyncSession, now: datetime) -> list[str]:
        own = (await sites.policy_view(db, operator(now), level, subject_id, now)).own
        partners.check_values(values, await partners.bounds(db))
        found = await sites.dry_run(db, operator(now), now, Trial(level, subject_id, {**own, **values}))
        counts = ", ".join(f"{found.effects[effect]} {effect.value.replace('_', ' ')}" for effect in sites.Effect)
        return [f"Of {found.sites} sites: {counts}."] + [
            f"  {one.effect.value.replace('_', ' ')}: {one.name} ({one.msp}), last heard "
            f"{one.last_contact_at:%Y-%m-%d %H:%M} UTC"
            for one in found.foreseen
        ]

    return await within(settings, look)


def read_level(named: str) -> tuple[Level, UUID]:
    """Read a level by its id; `ValueError` for what is none."""
    if named == "programme":
        return "programme", PROGRAMME_ID
    for level in _SUBJECTS:
        if (subject_id := ids.read(level, named)) is not None:
            return level, subject_id
    raise ValueError(f"{named!r} is neither programme nor the id of a distributor, an MSP or a key")


def read_values(given: Sequence[str]) -> dict[str, int | None]:
    """Read values like `disable_after=7d`; `ValueError` for what is none."""
    values: dict[str, int | None] = {}
    for text in given:
        name, _, value = text.partition("=")
        knob = next((knob for knob in KNOBS if knob.removesuffix(_SECONDS) == name), None)
        if knob is None:
            known = ", ".join(knob.removesuffix(_SECONDS) for knob in KNOBS)
            raise ValueError(f"{name!r} is no knob; there are {known}")
        values[knob] = None if value == "none" else _number(knob, value)
    return values


def _number(knob: str, value: str) -> int:
    if knob.endswith(_SECONDS):
        return int(read_duration(value).total_seconds())
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"{value!r} is no number")
    return int(value)


async def _lines(db: AsyncSession, view: PolicyView) -> list[str]:
    bounds = await partners.bounds(db)
    lines = []
    for knob in KNOBS:
        least, most = bounds[knob]
        value = _said(knob, getattr(view.in_force, knob))
        between = f"{_said(knob, least)} to {_said(knob, most)}"
        lines.append(f"{knob.removesuffix(_SECONDS):17} {value:16} {view.came_from[knob]:12} (bounds: {between})")
    return lines


def _said(knob: str, value: int) -> str:
    return str(timedelta(seconds=value)) if knob.endswith(_SECONDS) else str(value)
