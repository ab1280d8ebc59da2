"""The programme's documents: anybody reads what is in force before a registration accepts it; the vendor publishes."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import StringConstraints

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now, Public
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.fields import DocumentIdText, Instant, Message, Said, Version
from license_api.v1.pages import named
from services import ids, partners
from services.errors import Absent, Invalid, TooManyRequests
from services.partners import (
    DocumentKind,
    Draft,
    FreshSignInNeeded,
    IdempotencyKeyReused,
    PartnerKind,
    ProgrammeDocument,
    Right,
    VersionTaken,
    WrongPartner,
)

router = APIRouter(tags=["documents"], route_class=OnceRoute)
_Text = Annotated[
    str, StringConstraints(min_length=1, max_length=100_000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")
]


class Publication(Message):
    """A version in both languages."""

    kind: DocumentKind
    version: Version
    text_it: _Text
    text_en: _Text


class DocumentShown(Said):
    """A version of a document: the text is read by its id."""

    id: DocumentIdText
    kind: DocumentKind
    version: str
    published_at: Instant


class DocumentRead(DocumentShown):
    """A version of a document, in both languages. It never changes."""

    text_it: str
    text_en: str


class DocumentList(Said):
    """The version in force of each kind that has been published."""

    items: list[DocumentShown]


@router.get(
    "/v1/documents",
    operation_id="listDocuments",
    summary="The programme's documents in force",
    dependencies=[Public],
    responses=described(TooManyRequests),
)
async def list_documents(db: Db) -> DocumentList:
    """A registration accepts the terms and the privacy notice by these versions. For anybody."""
    rows = await partners.in_force(db)
    return DocumentList(items=[DocumentShown(**_shown(rows[kind])) for kind in sorted(rows)])


@router.get(
    "/v1/documents/{document_id}",
    operation_id="getDocument",
    summary="A document of the programme",
    dependencies=[Public],
    responses=described(Absent, Invalid, TooManyRequests),
)
async def get_document(document_id: str, db: Db) -> DocumentRead:
    """Any version, also one that is in force no more. For anybody."""
    return _read(await partners.one_document(db, named("document", document_id)))


@router.post(
    "/v1/documents",
    operation_id="publishDocument",
    summary="Publish a version of a document (vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(FreshSignInNeeded, IdempotencyKeyReused, VersionTaken, WrongPartner, *CALLER_REFUSALS),
)
async def publish_document(body: Publication, caller: Caller, db: Db, now: Now) -> DocumentRead:
    """In force from now on."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    caller.one_of(PartnerKind.VENDOR)
    draft = Draft(body.kind, body.version, body.text_it, body.text_en)
    return _read(await partners.publish(db, caller, draft, now))


def _shown(row: ProgrammeDocument) -> dict[str, Any]:
    return {
        "id": ids.show("document", row.id),
        "kind": row.kind,
        "version": row.version,
        "published_at": row.published_at,
    }


def _read(row: ProgrammeDocument) -> DocumentRead:
    return DocumentRead(**_shown(row), text_it=row.text_it, text_en=row.text_en)
