"""The echo: what the service last told a site, in the site's keeping, with the service's MAC. Pure."""

import base64
import binascii
import struct
from typing import NamedTuple
from uuid import UUID

from services.signing import Vault, same

_FIELDS = struct.Struct(">HQQ")
_MAC_BYTES = 16
_LENGTH = _FIELDS.size + _MAC_BYTES


class Echo(NamedTuple):
    """Line, sequence and through as of one answer."""

    line: int
    sequence: int
    through: int

    def seal(self, vault: Vault, site_id: UUID, installation_id: UUID) -> str:
        """Write it for the site: base64url without padding."""
        fields = _FIELDS.pack(self.line, self.sequence, self.through)
        mac = vault.mac(b"echo" + site_id.bytes + installation_id.bytes + fields, _MAC_BYTES)
        return base64.urlsafe_b64encode(fields + mac).rstrip(b"=").decode()


def read_echo(text: str, vault: Vault, site_id: UUID, installation_id: UUID) -> Echo | None:
    """Read an echo; None unless this service made it for this installation."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    if len(raw) != _LENGTH:
        return None
    mac = vault.mac(b"echo" + site_id.bytes + installation_id.bytes + raw[: _FIELDS.size], _MAC_BYTES)
    return Echo(*_FIELDS.unpack(raw[: _FIELDS.size])) if same(mac, raw[_FIELDS.size :]) else None
