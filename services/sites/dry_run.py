"""The dry run of a policy: which sites of the present fleet silence would warn of, disable or let come back."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys, partners
from services.keys import Key, KeyState
from services.partners import Msp, Principal, Trial
from services.sites import standing
from services.sites.ladder import Ladder, Rung, ladder, reached
from services.sites.pulse import outages
from services.sites.tables import Installation
from services.usage import Line

SHOWN = 500
_BATCH = 2_000
_RUNGS = (None, Rung.WARN, Rung.FINAL, Rung.DISABLE)


class Effect(StrEnum):
    """What would become of a site now."""

    WARNED = "warned"
    FINAL_WARNING = "final_warning"
    DISABLED = "disabled"
    BACK = "back"


_EFFECTS = {Rung.WARN: Effect.WARNED, Rung.FINAL: Effect.FINAL_WARNING, Rung.DISABLE: Effect.DISABLED}


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A site for which something would change, and since when it would have been so."""

    site_id: UUID
    name: str
    msp: str
    effect: Effect
    last_contact_at: datetime
    dates: Ladder


@dataclass(slots=True)
class DryRun:
    """How many sites were looked at, how many each effect would meet, and the first of them."""

    sites: int = 0
    effects: Counter[Effect] = field(default_factory=Counter)
    foreseen: list[Foreseen] = field(default_factory=list)


async def dry_run(db: AsyncSession, caller: Principal, now: datetime, trial: Trial | None = None) -> DryRun:
    """Say what silence would do at the next sweep to the sites that the caller sees, if values were set; sets nothing.

    Without a trial: under the policies in force. Suspended and revoked keys are left out, for silence does nothing to
    them.
    """
    found = DryRun()
    after: UUID | None = None
    while True:
        query = _heard(caller).order_by(Key.site_id).limit(_BATCH)
        rows = (await db.execute(query if after is None else query.where(Key.site_id > after))).all()
        await _look(db, [(row[0], row[1], row[2]) for row in rows], found, now, trial)
        if len(rows) < _BATCH:
            return found
        after = rows[-1][0].site_id
        db.expunge_all()


async def _look(
    db: AsyncSession, rows: Sequence[tuple[Key, str, datetime]], found: DryRun, now: datetime, trial: Trial | None
) -> None:
    told = [key for key, _, _ in rows]
    present = await keys.policies_of_keys(db, told, now)
    wanted = await keys.policies_of_keys(db, told, now, trial) if trial else present
    own = await outages(db, min((heard_at for _, _, heard_at in rows), default=now), now)
    for key, msp, heard_at in rows:
        if key.state not in (KeyState.ACTIVE, KeyState.DISABLED):
            continue
        found.sites += 1
        dates = ladder(heard_at, wanted[key.site_id], own, key.snoozed_until_at)
        stands = _stands(key, ladder(heard_at, present[key.site_id], own, key.snoozed_until_at), now)
        effect = _effect(stands, reached(dates, now))
        if effect is not None:
            found.effects[effect] += 1
            if len(found.foreseen) < SHOWN:
                found.foreseen.append(Foreseen(key.site_id, key.name, msp, effect, heard_at, dates))


def _stands(key: Key, dates: Ladder, now: datetime) -> Rung | None:
    """Give how far the silence of a site has come: disabled it is when the sweep has done it."""
    if key.disabled_at is not None:
        return Rung.DISABLE
    come = reached(dates, now)
    return Rung.FINAL if come is Rung.DISABLE else come


def _effect(stands: Rung | None, would: Rung | None) -> Effect | None:
    if would is not None and _RUNGS.index(would) > _RUNGS.index(stands):
        return _EFFECTS[would]
    return Effect.BACK if stands is Rung.DISABLE and would is not Rung.DISABLE else None


def _heard(caller: Principal) -> Select[Key, str, datetime]:
    """Give the keys that the caller sees with their MSP and when their Site Manager was heard last."""
    heard_at = func.max(Line.last_contact_at)
    of_site = (Line.site_id == Installation.site_id) & (Line.installation_id == Installation.installation_id)
    return (
        select(Key, Msp.name, heard_at)
        .join(Msp, Msp.id == Key.msp_id)
        .join(Installation, (Installation.site_id == Key.site_id) & (Installation.key_id == Key.id))
        .join(Line, of_site)
        .where(Installation.product == standing.SITE_MANAGER, Installation.ended_at.is_(None))
        .where(partners.visible_to(caller, Key.site_id))
        .group_by(Key.site_id, Key.id, Msp.name)
    )
