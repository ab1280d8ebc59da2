"""The programme's documents: each version published once in both languages, and never changed afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Absent, Invalid, Kind, Refusal
from services.ids import new_id, show
from services.partners.audit import note
from services.partners.people_tables import ProgrammeDocument
from services.partners.principal import PartnerKind, Principal


class DocumentKind(StrEnum):
    """What a document of the programme is."""

    PROGRAMME = "programme"
    TERMS = "terms"
    PRIVACY = "privacy"


class VersionTaken(Refusal):
    """This version has been published already; what is published never changes."""

    kind = Kind.CONFLICT
    code = "version_taken"


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be published."""

    kind: DocumentKind
    version: str
    text_it: str
    text_en: str


async def publish(db: AsyncSession, caller: Principal, draft: Draft, now: datetime) -> ProgrammeDocument:
    """Publish a version, in force from now on; raises `VersionTaken`."""
    caller.one_of(PartnerKind.VENDOR)
    same = (ProgrammeDocument.kind == draft.kind, ProgrammeDocument.version == draft.version)
    if await db.scalar(select(ProgrammeDocument.id).where(*same)) is not None:
        raise VersionTaken(pointer="/version")
    row = ProgrammeDocument(
        id=new_id(now),
        kind=draft.kind,
        version=draft.version,
        text_it=draft.text_it,
        text_en=draft.text_en,
        published_at=now,
        published_by=caller.actor,
    )
    db.add(row)
    after = {"kind": draft.kind, "version": draft.version}
    await note(db, caller, "document.published", show("document", row.id), after=after, now=now)
    await db.flush()
    return row


async def check_accepted(db: AsyncSession, kind: DocumentKind, version: str, pointer: str) -> None:
    """Raise `Invalid` for a version that is not in force; as long as none has been published any will do."""
    found = (await in_force(db)).get(kind)
    if found is not None and found.version != version:
        raise Invalid(f"In force is version {found.version}; read that one, and accept it.", pointer=pointer)


async def documents(db: AsyncSession, limit: int = 200) -> Sequence[ProgrammeDocument]:
    """Give every version, newest first. Anybody may read them."""
    return (await db.scalars(select(ProgrammeDocument).order_by(ProgrammeDocument.id.desc()).limit(limit))).all()


async def in_force(db: AsyncSession) -> Mapping[str, ProgrammeDocument]:
    """Give the newest version of each kind."""
    kind = ProgrammeDocument.kind
    query = select(ProgrammeDocument).ext(distinct_on(kind)).order_by(kind, ProgrammeDocument.id.desc())
    return {row.kind: row for row in await db.scalars(query)}


async def one_document(db: AsyncSession, document_id: UUID) -> ProgrammeDocument:
    """Give one version; raises `Absent`."""
    row = await db.get(ProgrammeDocument, document_id)
    if row is None:
        raise Absent
    return row
