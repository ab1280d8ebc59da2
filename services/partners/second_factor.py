"""The second factor: codes of an authenticator (RFC 6238), each step once, and recovery codes in its stead."""

import base64
import hmac
import secrets
from datetime import datetime

import pyotp
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Kind, Refusal
from services.ids import show
from services.partners.audit import note
from services.partners.people_tables import RecoveryCode, User
from services.partners.principal import PartnerKind, Principal, RightMissing
from services.signing import Vault

_STEP_SECONDS = 30
_RECOVERY_CODES = 10


class CodeNeeded(Refusal):
    """The password is right; a code of your authenticator is needed too, or a recovery code."""

    kind = Kind.UNAUTHENTICATED
    code = "code_needed"


class CodeWrong(Refusal):
    """The code of the second factor is wrong, or has been used."""

    kind = Kind.UNAUTHENTICATED
    code = "code_wrong"


class NoSecondFactor(Refusal):
    """No second factor is being set up."""

    kind = Kind.CONFLICT
    code = "no_second_factor"


async def begin_totp(db: AsyncSession, vault: Vault, user: User) -> tuple[str, str]:
    """Give a new secret and its `otpauth:` address; it counts when a code of it has been confirmed."""
    if user.totp_confirmed_at is not None:
        raise NoSecondFactor("There is a second factor already; remove it first.")
    secret = pyotp.random_base32()
    user.totp_sealed, user.totp_step = vault.seal(secret.encode(), user.id.bytes), None
    await db.flush()
    return secret, pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name="Tidemark")


async def confirm_totp(
    db: AsyncSession, vault: Vault, caller: Principal, user: User, code: str, now: datetime
) -> list[str]:
    """Turn the second factor on, with a code that proves it works; gives the recovery codes, this once."""
    if user.totp_sealed is None or user.totp_confirmed_at is not None:
        raise NoSecondFactor
    if not _take_step(vault, user, code, now):
        raise CodeWrong(pointer="/code")
    user.totp_confirmed_at = now
    codes = await _make_codes(db, vault, user)
    await note(db, caller, "user.totp_set", show("user", user.id), now=now)
    return codes


async def renew_recovery_codes(
    db: AsyncSession, vault: Vault, caller: Principal, user: User, now: datetime
) -> list[str]:
    """Make new recovery codes, given this once; the old ones open nothing any more. Raises `NoSecondFactor`."""
    if user.totp_confirmed_at is None:
        raise NoSecondFactor("There is no second factor yet; set it up first.")
    codes = await _make_codes(db, vault, user)
    await note(db, caller, "user.codes_renewed", show("user", user.id), now=now)
    return codes


async def remove_totp(db: AsyncSession, caller: Principal, user: User, now: datetime) -> None:
    """Turn the second factor off; raises `RightMissing` for the vendor's own, which must have one."""
    if user.partner_kind == PartnerKind.VENDOR and user.id == caller.user_id:
        raise RightMissing("The vendor's people must have a second factor.")
    user.totp_sealed = user.totp_confirmed_at = user.totp_step = None
    await db.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    await note(db, caller, "user.totp_removed", show("user", user.id), now=now)


async def _make_codes(db: AsyncSession, vault: Vault, user: User) -> list[str]:
    codes = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(_RECOVERY_CODES)]
    await db.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    db.add_all(RecoveryCode(user_id=user.id, code_hash=vault.finding_hash(code)) for code in codes)
    await db.flush()
    return codes


async def check_second_factor(db: AsyncSession, vault: Vault, user: User, code: str | None, now: datetime) -> None:
    """Check and spend a code if the user has a second factor; raises `CodeNeeded`, `CodeWrong`."""
    if user.totp_confirmed_at is None:
        return
    if not code:
        raise CodeNeeded
    if not _take_step(vault, user, code, now) and not await _take_recovery_code(db, vault, user, code):
        raise CodeWrong


def _take_step(vault: Vault, user: User, code: str, now: datetime) -> bool:
    """Accept a code of this step or its neighbours that is later than the last one accepted."""
    totp = pyotp.TOTP(vault.open(user.totp_sealed or b"", user.id.bytes).decode())
    present = int(now.timestamp()) // _STEP_SECONDS
    for step in (present - 1, present, present + 1):
        right = hmac.compare_digest(totp.generate_otp(step).encode(), code.strip().encode())
        if right and step > (user.totp_step or 0):
            user.totp_step = step
            return True
    return False


async def _take_recovery_code(db: AsyncSession, vault: Vault, user: User, code: str) -> bool:
    wanted = vault.finding_hash(code.strip().lower())
    spent = await db.execute(
        delete(RecoveryCode)
        .where(RecoveryCode.user_id == user.id, RecoveryCode.code_hash == wanted)
        .returning(RecoveryCode.user_id)
    )
    return spent.first() is not None
