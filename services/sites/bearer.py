"""The bearer of an installation: `<site_id>.<installation_id>.<secret>`. Pure."""

from dataclasses import dataclass
from uuid import UUID

from services import ids
from services.errors import Unauthenticated
from services.signing import digest

_SECRET_SYMBOLS = 43


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who calls, and the hash of the secret it shows."""

    site_id: UUID
    installation_id: UUID
    credential_sha256: bytes


def read_bearer(text: str) -> Bearer:
    """Read the bearer; raises `Unauthenticated` if it cannot be one."""
    site, _, rest = text.partition(".")
    installation, _, secret = rest.partition(".")
    site_id = ids.read("site", site)
    if site_id is None or len(secret) != _SECRET_SYMBOLS or not secret.isascii():
        raise Unauthenticated
    try:
        installation_id = UUID(installation)
    except ValueError:
        raise Unauthenticated from None
    if str(installation_id) != installation:
        raise Unauthenticated
    return Bearer(site_id, installation_id, digest(secret))
