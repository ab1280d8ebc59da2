"""The feed: a partner's events in the order in which they came to be known, so that who reads on misses none.

A report is dated at its cut-off however late it is issued, and transactions may commit in another order than they
began: by time or id, an event could appear behind a reader that has passed its place. So each gets its place when the
feed is read, under a lock of the partner's.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.delivery.tables import Event
from services.errors import Invalid

_LOCK = "select pg_advisory_xact_lock(hashtextextended('events of ' || :partner_id, 0))"
_PLACE = """
update events e set place = n.place
from (
    select id, (select coalesce(max(place), 0) from events where partner_id = :partner_id)
        + row_number() over (order by id) as place
    from events where partner_id = :partner_id and place is null
) n
where e.id = n.id
"""


async def events_of(db: AsyncSession, partner_id: UUID, *, after: UUID | None, limit: int) -> Sequence[Event]:
    """Give a page of a partner's events, beginning after one of them; raises `Invalid` if that is none of its own."""
    await _place_new(db, partner_id)
    # One that was committed since it was asked for new ones has no place yet: it is for the next page.
    placed = (Event.partner_id == partner_id, Event.place.is_not(None))
    query = select(Event).where(*placed).order_by(Event.place).limit(limit)
    if after is not None:
        place = await db.scalar(select(Event.place).where(Event.id == after, Event.partner_id == partner_id))
        if place is None:
            raise Invalid(pointer="/query/after")
        query = query.where(Event.place > place)
    return (await db.scalars(query.execution_options(populate_existing=True))).all()


async def _place_new(db: AsyncSession, partner_id: UUID) -> None:
    """Give a place to the events that have none. Two readers at once do it one after the other, each once."""
    new = exists().where(Event.partner_id == partner_id, Event.place.is_(None))
    if await db.scalar(select(new)):
        await db.execute(text(_LOCK), {"partner_id": str(partner_id)})
        await db.execute(text(_PLACE), {"partner_id": partner_id})
