"""The rooms of the programme and the company as a person sees them: axe finds nothing."""

import pytest

from services import ids, partners
from services.delivery import add_endpoint, send_test
from services.partners import VENDOR_ID, Applicant, DocumentKind, Draft, PartnerKind, Principal, Role, User
from services.partners.people_tables import Registration
from tests.console.conftest import Opened
from tests.support.browser import NARROW, WIDE
from tests.support.people import person
from tests.support.world import World

OF_THE_MSP = (
    "/account", "/account/recovery-codes", "/people", "/tokens", "/tokens/new", "/webhooks", "/webhooks/new",
    "/letters", "/audit-log", "/documents", "/msps/own", "/policies", "/policies/programme/all",
)  # fmt: skip
OF_THE_VENDOR = (
    "/registrations", "/msps", "/distributors", "/distributors/new", "/held", "/documents/new", "/policies/bounds",
)  # fmt: skip


async def furnished(world: World) -> tuple[User, User, list[str], list[str]]:
    """One of everything; an MSP's admin and the vendor's, and the pages of things that each of them sees."""
    now, vault = world.clock(), world.desk.vault
    admin = await person(world, PartnerKind.MSP, world.msp.id)
    vera = await person(world, PartnerKind.VENDOR, VENDOR_ID)
    team = Principal(VENDOR_ID, VENDOR_ID, PartnerKind.VENDOR, user_id=vera.id, at=now)
    own = Principal(world.msp.id, world.msp.id, user_id=admin.id, at=now, rights=partners.rights_of(Role.ADMIN))
    async with world.sessions.begin() as db:
        for kind in DocumentKind:
            document = await partners.publish(db, team, Draft(kind, "2026-01", "Testo.", "Text."), now)
        applicant = Applicant("Brenta", "IT", "IT00743110157", "Giulia", "g@brenta.example", "it", "2026-01", "2026-01")
        await partners.register(db, vault, applicant, address="192.0.2.1", now=now)
        endpoint = await add_endpoint(
            db, vault, partner_id=world.msp.id, url="https://hooks.adriatica.example/tidemark", description="Ticketing",
            kinds=["key.disabled"], scheme="ed25519", contact=None, language="it", now=now,
        )  # fmt: skip
        await send_test(db, endpoint, now)
        token = await partners.add_token(db, own, name="Grafana", scopes=["sites:read"], now=now, expires_at=None)  # type: ignore[list-item]
        await partners.invite_colleague(db, vault, own, email="e@x.example", role=Role.MEMBER, language="it", now=now)
        await partners.request_replacement(
            db, team, world.msp.id, email="n@x.example", language="it", reason="Lost", now=now
        )
        [row] = (await db.scalars(Registration.__table__.select())).all()
        (await db.get_one(Registration, row)).verified_at = now
    msp, distributor = ids.show("msp", world.msp.id), ids.show("distributor", world.distributor.id)
    mine = [
        f"/people/{ids.show('user', admin.id)}",
        f"/tokens/{ids.show('token', token.token.id)}/rotate",
        f"/tokens/{ids.show('token', token.token.id)}/revoke",
        f"/webhooks/{ids.show('endpoint', endpoint.id)}",
        f"/documents/{ids.show('document', document.id)}",
        f"/policies/msp/{msp}",
    ]
    theirs = [
        f"/registrations/{ids.show('registration', row)}",
        f"/registrations/{ids.show('registration', row)}/reject",
        *(f"/msps/{msp}{act}" for act in ("", "/suspend", "/move", "/replacement", "/close")),
        f"/distributors/{distributor}",
    ]
    return admin, vera, mine, theirs


@pytest.mark.parametrize(("language", "width"), [("it", WIDE), ("en", NARROW)])
async def test_axe_finds_nothing_in_these_rooms(world: World, open_window: Opened, language: str, width: int) -> None:
    admin, vera, mine, theirs = await furnished(world)
    faults: list[str] = []
    rooms = ((admin, (*OF_THE_MSP, *mine)), (vera, (*OF_THE_VENDOR, *theirs)), (None, ("/register",)))
    for user, paths in rooms:
        window = await open_window(user, language=language, width=width, dark=language == "en")
        for path in paths:
            await window.open(path)
            faults += [f"{path}: {fault}" for fault in await window.faults()]
    assert not faults, "\n".join(faults)
