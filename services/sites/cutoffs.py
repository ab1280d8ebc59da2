"""Cut-offs: how a site is doing as a condition in SQL, so that a fleet is filtered and counted where it lies.

`liveness` asks how long a site has been silent. Read the other way, each length of a policy is one instant, by which a
site must have been heard: a few instants for the whole fleet, whatever its size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Select, and_, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.keys import Key, KeyPolicy
from services.partners import Policy
from services.partners.tables import MspTenure, PolicyRow
from services.sites.ladder import FINAL_BEFORE
from services.sites.pulse import outages
from services.sites.silence import Liveness, Outage, heard_until

_HEARTBEAT, _WARN, _DISABLE = "heartbeat_seconds", "warn_after_seconds", "disable_after_seconds"
_OF_MSP, _OF_DISTRIBUTOR = aliased(PolicyRow), aliased(PolicyRow)
_Levels = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Conditions on a column of last contacts, in a query of keys that `join` was put over."""

    now: datetime
    own: Sequence[Outage]
    programme: Policy
    # The values of policies that there are at all, by level; a level that has none is not joined.
    levels: _Levels

    def join(self, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        """Put the policies of each key beside it."""
        if "msp" in self.levels:
            query = query.outerjoin(_OF_MSP, and_(_OF_MSP.level == "msp", _OF_MSP.subject_id == Key.msp_id))
        if "distributor" in self.levels:
            now = and_(MspTenure.from_at <= self.now, or_(MspTenure.until_at.is_(None), MspTenure.until_at > self.now))
            query = query.outerjoin(MspTenure, and_(MspTenure.msp_id == Key.msp_id, now))
            subject = _OF_DISTRIBUTOR.subject_id == MspTenure.distributor_id
            query = query.outerjoin(_OF_DISTRIBUTOR, and_(_OF_DISTRIBUTOR.level == "distributor", subject))
        if "key" in self.levels:
            own = and_(KeyPolicy.site_id == Key.site_id, KeyPolicy.key_id == Key.id)
            query = query.outerjoin(KeyPolicy, own)
        return query

    def liveness(self, heard: Any) -> dict[Liveness, ColumnElement[bool]]:
        """Say `liveness` in SQL: each site is exactly one of these."""
        overdue = heard <= self._by(_DISABLE)
        silent = and_(heard <= self._by(_WARN), ~overdue)
        late = and_(heard < self._by(_HEARTBEAT, lambda interval: 2 * interval), heard > self._by(_WARN), ~overdue)
        return {
            Liveness.NEVER_CONNECTED: heard.is_(None),
            Liveness.OVERDUE: overdue,
            Liveness.SILENT: silent,
            Liveness.LATE: late,
            Liveness.ONLINE: and_(heard.is_not(None), ~overdue, ~silent, ~late),
        }

    def warned(self, heard: Any) -> ColumnElement[bool]:
        """Tell whether a silence is past its warning, or past its end."""
        return or_(heard <= self._by(_WARN), heard <= self._by(_DISABLE))

    def closing(self, heard: Any) -> ColumnElement[bool]:
        """Tell whether a silence is past its final warning: `ladder` in SQL."""
        warn = func.greatest(self._by(_WARN), self._by(_DISABLE))
        final = self._by(_DISABLE, lambda after: after - FINAL_BEFORE)
        return and_(heard <= func.least(warn, final))

    def _by(self, knob: str, length: Callable[[timedelta], timedelta] = lambda after: after) -> ColumnElement[datetime]:
        """Give the instant that belongs to a key's own length."""
        programme = getattr(self.programme, knob)
        values = {programme, *(getattr(row, knob, None) for rows in self.levels.values() for row in rows)} - {None}
        instants = {
            value: literal(heard_until(self.now, length(timedelta(seconds=value)), self.own), DateTime(timezone=True))
            for value in values
        }
        if len(instants) == 1:
            return instants[programme]
        return case(instants, value=func.coalesce(*self._columns(knob), programme))

    def _columns(self, knob: str) -> list[Any]:
        nearest = {"key": KeyPolicy, "msp": _OF_MSP, "distributor": _OF_DISTRIBUTOR}
        return [
            getattr(table, knob) for level, table in nearest.items() if level in self.levels and hasattr(table, knob)
        ]


async def cutoffs(db: AsyncSession, now: datetime) -> Cutoffs:
    """Give the cut-offs of now, by the policies that the caller may see."""
    levels = await _levels(db)
    programme = Policy()
    for row in levels.pop("programme", []):
        own = {knob: getattr(row, knob) for knob in (_HEARTBEAT, _WARN, _DISABLE)}
        programme = Policy(**{knob: value for knob, value in own.items() if value is not None})
    longest = max([programme.disable_after_seconds, *_disabling(levels)])
    own_outages = await _outages(db, now, timedelta(seconds=longest))
    return Cutoffs(now, own_outages, programme, levels)


async def _levels(db: AsyncSession) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    columns = (PolicyRow.heartbeat_seconds, PolicyRow.warn_after_seconds, PolicyRow.disable_after_seconds)
    for row in await db.execute(select(PolicyRow.level, *columns).distinct()):
        found.setdefault(row.level, []).append(row)
    own = select(KeyPolicy.warn_after_seconds).where(KeyPolicy.warn_after_seconds.is_not(None)).distinct()
    if of_keys := list(await db.execute(own)):
        found["key"] = of_keys
    return found


def _disabling(levels: _Levels) -> list[int]:
    return [seconds for rows in levels.values() for row in rows if (seconds := getattr(row, _DISABLE, None))]


async def _outages(db: AsyncSession, now: datetime, longest: timedelta) -> list[Outage]:
    """Give the outages back to the earliest instant that a cut-off can be."""
    since = now - longest
    while True:
        own = await outages(db, since, now)
        earliest = heard_until(now, longest, own)
        if earliest >= since:
            return own
        since = earliest
