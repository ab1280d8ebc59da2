"""Cut-offs: how a site is doing as a condition in SQL, so that a fleet is filtered and counted where it lies.

`liveness` asks how long a site has been silent. Read the other way, each length of a policy is one instant, by which a
site must have been heard: a few instants for the whole fleet, whatever its size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, DateTime, Integer, Select, and_, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.keys import Key, KeyPolicy
from services.partners import Policy
from services.partners.tables import MspTenure, PolicyRow
from services.sites.pulse import outages
from services.sites.silence import Liveness, Outage, heard_until

_HEARTBEAT, _WARN = "heartbeat_seconds", "warn_after_seconds"
_FINAL, _DISABLE = "final_before_seconds", "disable_after_seconds"
_KNOBS = (_HEARTBEAT, _WARN, _FINAL, _DISABLE)
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
        disable, warn = self._by(self._length(_DISABLE)), self._by(self._length(_WARN))
        intervals = self._by(self._length(_HEARTBEAT), times=2)
        return {
            Liveness.NEVER_CONNECTED: heard.is_(None),
            Liveness.OVERDUE: heard <= disable,
            Liveness.SILENT: and_(heard <= warn, heard > disable),
            Liveness.LATE: and_(heard < intervals, heard > warn, heard > disable),
            Liveness.ONLINE: and_(heard >= intervals, heard > warn, heard > disable),
        }

    def warned(self, heard: Any) -> ColumnElement[bool]:
        """Tell whether a silence is past its warning, or past its end."""
        return or_(heard <= self._by(self._length(_WARN)), heard <= self._by(self._length(_DISABLE)))

    def closing(self, heard: Any) -> ColumnElement[bool]:
        """Tell whether a silence is past its final warning: `ladder` in SQL."""
        disable, before = self._length(_DISABLE), self._length(_FINAL)
        final = _Length(disable.column - before.column, {d - b for d in disable.values for b in before.values})
        return and_(self.warned(heard), heard <= self._by(final))

    def _by(self, length: "_Length", times: int = 1) -> ColumnElement[datetime]:
        """Give the instant that belongs to each key's own length."""
        instants = {
            value: literal(heard_until(self.now, timedelta(seconds=times * value), self.own), DateTime(timezone=True))
            for value in length.values
        }
        return case(instants, value=length.column) if len(instants) > 1 else next(iter(instants.values()))

    def _length(self, knob: str) -> "_Length":
        """Give a knob in force for each key, and every value that it has somewhere."""
        nearest: dict[str, Any] = {"key": KeyPolicy, "msp": _OF_MSP, "distributor": _OF_DISTRIBUTOR}
        columns = [getattr(table, knob) for level, table in nearest.items() if level in self.levels]
        set_somewhere = {getattr(row, knob) for rows in self.levels.values() for row in rows} - {None}
        programme = getattr(self.programme, knob)
        return _Length(func.coalesce(*columns, literal(programme, Integer)), {programme, *set_somewhere})


class _Length(NamedTuple):
    column: Any
    values: set[int]


async def cutoffs(db: AsyncSession, now: datetime) -> Cutoffs:
    """Give the cut-offs of now, by the policies that the caller may see."""
    levels = await _levels(db)
    programme = Policy()
    for row in levels.pop("programme", []):
        own = {knob: getattr(row, knob) for knob in _KNOBS}
        programme = Policy(**{knob: value for knob, value in own.items() if value is not None})
    longest = max([programme.disable_after_seconds, *_disabling(levels)])
    own_outages = await _outages(db, now, timedelta(seconds=longest))
    return Cutoffs(now, own_outages, programme, levels)


async def _levels(db: AsyncSession) -> dict[str, list[Any]]:
    """Give the different values that policies have at each level."""
    found: dict[str, list[Any]] = {}
    of_partners = select(PolicyRow.level, *(getattr(PolicyRow, knob) for knob in _KNOBS)).distinct()
    for row in await db.execute(of_partners):
        found.setdefault(row.level, []).append(row)
    if of_keys := list(await db.execute(select(*(getattr(KeyPolicy, knob) for knob in _KNOBS)).distinct())):
        found["key"] = of_keys
    return found


def _disabling(levels: _Levels) -> list[int]:
    return [seconds for rows in levels.values() for row in rows if (seconds := getattr(row, _DISABLE))]


async def _outages(db: AsyncSession, now: datetime, longest: timedelta) -> list[Outage]:
    """Give the outages back to the earliest instant that a cut-off can be."""
    since = now - longest
    while True:
        own = await outages(db, since, now)
        earliest = heard_until(now, longest, own)
        if earliest >= since:
            return own
        since = earliest
