"""The echo: what the service last told a site, in the site's keeping, with the service's MAC. Pure."""

import struct
from binascii import Error, a2b_base64, b2a_base64
from typing import NamedTuple
from uuid import UUID

from services.signing import Vault, same

_FIELDS = struct.Struct(">HQQ")
_MAC_BYTES = 16
_LENGTH = _FIELDS.size + _MAC_BYTES
_SYMBOLS = 46
_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")


class Echo(NamedTuple):
    """Line, sequence and through as of one answer."""

    line: int
    sequence: int
    through: int

    def seal(self, vault: Vault, site_id: UUID, installation_id: UUID) -> str:
        """Write it for the site: base64url without padding."""
        fields = _FIELDS.pack(self.line, self.sequence, self.through)
        mac = vault.mac(b"echo" + site_id.bytes + installation_id.bytes + fields, _MAC_BYTES)
        return b2a_base64(fields + mac, newline=False).translate(_TO_URL, b"=").decode()


def read_echo(text: str, vault: Vault, site_id: UUID, installation_id: UUID) -> Echo | None:
    """Read an echo; None unless this service made it for this installation."""
    if len(text) != _SYMBOLS or not text.isascii():
        return None
    try:
        raw = a2b_base64(text.encode().translate(_FROM_URL) + b"==")
    except Error:
        return None
    if len(raw) != _LENGTH:
        return None
    mac = vault.mac(b"echo" + site_id.bytes + installation_id.bytes + raw[: _FIELDS.size], _MAC_BYTES)
    return Echo(*_FIELDS.unpack(raw[: _FIELDS.size])) if same(mac, raw[_FIELDS.size :]) else None
