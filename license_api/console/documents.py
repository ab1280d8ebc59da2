"""The programme's documents: anybody reads them, the Partner Team publishes a new version, which never changes."""

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import SignedIn, Visitor
from license_api.v1.documents import Publication
from license_api.v1.pages import named
from services import partners
from services.partners import Draft, PartnerKind, Right

router = APIRouter(prefix="/documents", route_class=PageRoute)


@router.get("")
async def list_documents(visit: SignedIn) -> Response:
    """What is in force, and every version before."""
    visit.require(Right.PARTNERS_READ)
    current = {row.id for row in (await partners.in_force(visit.db)).values()}
    return visit.page("documents/list.html", rows=await partners.documents(visit.db), current=current)


@router.get("/new")
async def show_new(visit: SignedIn, kind: str = "") -> Response:
    """Begin with what is in force."""
    visit.require(Right.PARTNERS_WRITE)
    visit.principal.one_of(PartnerKind.VENDOR)
    before = (await partners.in_force(visit.db)).get(kind)
    return visit.page("documents/new.html", kind=kind, before=before)


@router.post("")
async def publish(visit: SignedIn) -> Response:
    """In force from now on."""
    visit.require(Right.PARTNERS_WRITE)
    visit.principal.one_of(PartnerKind.VENDOR)
    wanted = visit.form.read(Publication)
    if wanted is not None and await visit.confirmed(Right.PEOPLE_ADMIN):
        draft = Draft(wanted.kind, wanted.version, wanted.text_it, wanted.text_en)
        await visit.attempt(partners.publish(visit.db, visit.principal, draft, visit.now))
        if visit.form.right:
            return visit.go("/documents", N_("The document is published."))
    return visit.page("documents/new.html", kind=visit.form.get("kind"), before=None)


@router.get("/{document_id}")
async def show_document(document_id: str, visit: Visitor, read: str = "") -> Response:
    """For anybody: a company reads it before it registers. In the browser's language, or in the one asked for."""
    row = await partners.one_document(visit.db, named("document", document_id))
    tongue = read if read in ("it", "en") else visit.language
    text = row.text_en if tongue == "en" else row.text_it
    return visit.page("documents/document.html", row=row, text=text, tongue=tongue)
