"""What was last told: by each line of a site, what it said last and what it was answered, as far as it is kept.

An idle heartbeat writes one narrow row, so its body is not kept; but it said nothing that is not shown here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.keys import KeyState
from services.partners import Principal
from services.sites.administration_tables import BackupSummary
from services.sites.heartbeat import Backups
from services.sites.tables import Installation
from services.usage import Counts, Line, UsageEntry


@dataclass(frozen=True, slots=True)
class LastTold:
    """A line: the last accepted sequence and when, the counts, and the last entry as it was sent with its receipt."""

    installation_id: UUID
    hostname: str
    product: str
    line: int
    sequence: int
    last_contact_at: datetime
    known_until_at: datetime | None
    deployed: Counts | None
    backups: Backups | None
    through: int
    receipt: bytes
    state: KeyState
    last_entry: bytes | None
    last_entry_received_at: datetime | None


async def last_told(db: AsyncSession, principal: Principal, site_id: UUID) -> Sequence[LastTold]:
    """Give what each line of a site's installations told last, the one heard last first."""
    last_entry = and_(
        UsageEntry.site_id == Line.site_id,
        UsageEntry.installation_id == Line.installation_id,
        UsageEntry.line == Line.line,
        UsageEntry.n == Line.through,
    )
    summary = and_(BackupSummary.site_id == Line.site_id, BackupSummary.installation_id == Line.installation_id)
    installation = and_(Installation.site_id == Line.site_id, Installation.installation_id == Line.installation_id)
    rows = await db.execute(
        select(Line, Installation, BackupSummary, UsageEntry)
        .join(Installation, installation)
        .outerjoin(BackupSummary, summary)
        .outerjoin(UsageEntry, last_entry)
        .where(Line.site_id == site_id, partners.visible_to(principal, Line.site_id))
        .order_by(Line.last_contact_at.desc(), Line.installation_id, Line.line)
        .execution_options(populate_existing=True)
    )
    return [_told(*row) for row in rows]


def _told(line: Line, machine: Installation, summary: BackupSummary | None, entry: UsageEntry | None) -> LastTold:
    counts = (line.server, line.workstation or 0, line.server_plus or 0) if line.server is not None else None
    return LastTold(
        installation_id=line.installation_id,
        hostname=machine.hostname,
        product=machine.product,
        line=line.line,
        sequence=line.sequence,
        last_contact_at=line.last_contact_at,
        known_until_at=line.known_until_at,
        deployed=Counts(*counts) if counts else None,
        backups=Backups(summary.ok, summary.warning, summary.failed, summary.overdue) if summary else None,
        through=line.through,
        receipt=line.receipt,
        state=KeyState(line.told_state),
        last_entry=entry.entry if entry else None,
        last_entry_received_at=entry.received_at if entry else None,
    )
