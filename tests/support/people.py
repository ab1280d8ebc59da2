"""People of partners, signed in without the cost of a password: what a session is made of is tested elsewhere."""

import itertools
from uuid import UUID

from services import partners
from services.partners import VENDOR_ID, Origin, Partner, PartnerKind, Role, User
from tests.support.world import World

PASSWORD = "correct horse battery staple"
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
Headers = dict[str, str]
_numbers = itertools.count(1)


async def person(
    world: World, kind: PartnerKind, partner_id: UUID, role: Role = Role.ADMIN, *, email: str | None = None
) -> User:
    """A person of a partner; the vendor's have their second factor."""
    async with world.sessions.begin() as db:
        user = await partners.add_user(
            db,
            Partner(kind, partner_id),
            email=email or f"{role}.{kind}.{next(_numbers)}@example.org",
            name="Maria Rossi",
            role=role,
            language="it",
            password_hash=None,
            now=world.clock(),
        )
        if kind is PartnerKind.VENDOR:
            user.totp_sealed = world.desk.vault.seal(TOTP_SECRET.encode(), user.id.bytes)
            user.totp_confirmed_at = world.clock()
    return user


async def session_of(world: World, user: User) -> Headers:
    """The headers of a fresh session."""
    async with world.sessions.begin() as db:
        attached = await db.get_one(User, user.id)
        begun = await partners.begin_session(db, attached, origin=Origin("192.0.2.1"), program=None, now=world.clock())
    return {"Authorization": f"Bearer {begun.secret}"}


async def signed_in(
    world: World, kind: PartnerKind = PartnerKind.MSP, partner_id: UUID | None = None, role: Role = Role.ADMIN
) -> Headers:
    """The headers of a fresh session of a new person; of the world's own MSP, distributor or vendor."""
    own = {
        PartnerKind.MSP: world.msp.id,
        PartnerKind.DISTRIBUTOR: world.distributor.id,
        PartnerKind.VENDOR: VENDOR_ID,
    }
    return await session_of(world, await person(world, kind, partner_id or own[kind], role))
