"""What an MSP may change and see again of a key: its name, its own reference, its code."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from services.keys import labels
from services.keys.register import take_name
from services.keys.tables import Key, KeyName
from services.signing import Vault


async def rename(db: AsyncSession, key: Key, *, name: str, reference: str | None, now: datetime) -> None:
    """Give a locked key another name or reference; raises `KeyNameTaken`."""
    if name != key.name:
        await take_name(db, key.msp_id, name, key.site_id)
        await db.execute(delete(KeyName).where(KeyName.msp_id == key.msp_id, KeyName.name == key.name))
    if (name, reference) != (key.name, key.reference):
        labels.keep(db, key, now)
    key.name, key.reference = name, reference
    await db.flush()


def code_of(vault: Vault, key: Key) -> str:
    """Open the sealed copy of a key's code: for an MSP's admin, and noted in the audit log by whoever shows it."""
    return vault.open(key.code_sealed, key.id.bytes).decode()
