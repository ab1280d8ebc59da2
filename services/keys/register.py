"""The register of keys: made by an MSP, found by their code, and moved between states."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.errors import Absent, Kind, Refusal
from services.ids import Entropy, new_id
from services.keys import code as key_code
from services.keys.search import matching
from services.keys.states import KeyState
from services.keys.tables import SILENT, Key, KeyName
from services.keys.timeline import record
from services.signing import Vault


class KeyUnknown(Refusal):
    """There is no such licence key."""

    kind = Kind.ABSENT
    code = "key_unknown"


class KeyNameTaken(Refusal):
    """The MSP already has a key of this name."""

    kind = Kind.CONFLICT
    code = "key_name_taken"


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key, with the code that is typed into the Site Manager."""

    key: Key
    code: str


async def create(
    db: AsyncSession,
    vault: Vault,
    *,
    msp_id: UUID,
    name: str,
    reference: str | None = None,
    actor: str,
    now: datetime,
    entropy: Entropy = secrets.token_bytes,
) -> IssuedKey:
    """Make a key for one Site Manager; raises `KeyNameTaken`, `MspNotApproved`, `MspSuspended`."""
    if (await partners.approved_msp(db, msp_id, held=True)).suspended_at is not None:
        raise partners.MspSuspended
    site_id, key_id = new_id(now, entropy), new_id(now, entropy)
    await take_name(db, msp_id, name, site_id)
    code = key_code.make(entropy)
    key = Key(
        site_id=site_id,
        id=key_id,
        msp_id=msp_id,
        name=name,
        reference=reference,
        code_hash=vault.finding_hash(code),
        code_sealed=vault.seal(code.encode(), key_id.bytes),
        code_masked=key_code.mask(code),
        created_at=now,
        activated_at=None,
        disabled_at=None,
        suspended_at=None,
        revoked_at=None,
        reason=None,
        msp_suspended_at=None,
        msp_reason=None,
        rotated_from=None,
        snoozed_until_at=None,
    )
    db.add(key)
    await db.flush()
    partners.begin_site_tenure(db, site_id=site_id, msp_id=msp_id, now=now)
    await db.flush()  # row-level security lets nothing else be written of a site that nobody has
    record(db, key, "issued", before=None, at=now, now=now, actor=actor)
    await db.flush()
    return IssuedKey(key, code)


async def take_name(db: AsyncSession, msp_id: UUID, name: str, site_id: UUID) -> None:
    """Take a name for a site among its MSP's; raises `KeyNameTaken`."""
    taking = insert(KeyName).values(msp_id=msp_id, name=name, site_id=site_id)
    taken = await db.execute(taking.on_conflict_do_nothing().returning(KeyName.site_id))
    if taken.first() is None:
        raise KeyNameTaken(pointer="/name")


def hash_of_code(vault: Vault, code: str) -> bytes:
    """Give what a key is found by; raises `KeyMalformed` if the checksum is wrong."""
    return vault.finding_hash(key_code.parse(code))


async def find_for_update(db: AsyncSession, code_hash: bytes) -> Key:
    """Find a key by its code's hash and lock it; raises `KeyUnknown`."""
    key = await db.scalar(select(Key).where(Key.code_hash == code_hash).with_for_update())
    if key is None:
        raise KeyUnknown
    return key


async def of_site_for_update(db: AsyncSession, site_id: UUID) -> Key:
    """Lock the key of a site."""
    key = await db.scalar(
        select(Key).where(Key.site_id == site_id).with_for_update().execution_options(populate_existing=True)
    )
    if key is None:
        raise Absent
    return key


async def names_of_sites(db: AsyncSession, caller: partners.Principal, site_ids: Collection[UUID]) -> dict[UUID, str]:
    """Give the names of those of some sites that the caller sees."""
    query = select(Key.site_id, Key.name).where(Key.site_id.in_(site_ids), partners.visible_to(caller, Key.site_id))
    return {row.site_id: row.name for row in await db.execute(query)}


async def visible_keys(
    db: AsyncSession,
    principal: partners.Principal,
    *,
    after: UUID | None,
    limit: int,
    state: KeyState | None = None,
    text: str | None = None,
) -> list[Key]:
    """Give a page of the keys that the principal sees, newest last, beginning after an id."""
    seen = partners.visible_to(principal, Key.site_id)
    query = select(Key).where(seen, matching(state, text)).order_by(Key.id).limit(limit)
    return list(await db.scalars(query if after is None else query.where(Key.id > after)))


async def visible_key(db: AsyncSession, principal: partners.Principal, key_id: UUID, *, lock: bool = False) -> Key:
    """Give one key; raises `Absent` also for a stranger's."""
    query = select(Key).where(Key.id == key_id, partners.visible_to(principal, Key.site_id))
    key = await db.scalar(query.with_for_update(of=Key) if lock else query)
    if key is None:
        raise Absent
    return key


async def key_of_site(db: AsyncSession, principal: partners.Principal, site_id: UUID) -> Key:
    """Give the key of a site; raises `Absent` also for a stranger's."""
    key = await db.scalar(select(Key).where(Key.site_id == site_id, partners.visible_to(principal, Key.site_id)))
    if key is None:
        raise Absent
    return key


def activate(db: AsyncSession, key: Key, *, now: datetime, actor: str) -> None:
    """Note that a Site Manager activated: the key is bound from now on, and a silent one is back."""
    before = key.state
    key.activated_at = key.activated_at or now
    key.disabled_at = None
    record(db, key, "activated", before=before, at=now, now=now, actor=actor)


def disable(db: AsyncSession, key: Key, *, at: datetime, now: datetime, reason: str = SILENT) -> None:
    """Disable a key whose site fell silent, dated at the deadline. Twice is once."""
    if key.disabled_at is None:
        before = key.state
        key.disabled_at = at
        record(db, key, "disabled", before=before, at=at, now=now, actor="sweep", reason=reason)


def enable(db: AsyncSession, key: Key, *, now: datetime, actor: str = "site", reason: str = "heard again") -> None:
    """Take the disabling back: the site has been heard, or the policy gives it longer. Twice is once."""
    if key.disabled_at is not None:
        before = key.state
        key.disabled_at = None
        record(db, key, "enabled", before=before, at=now, now=now, actor=actor, reason=reason)
