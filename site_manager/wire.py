"""How values look on the wire: instants, base64url, counts, numbered entries and their receipts. Pure.

An entry is made once, as canonical JSON (RFC 8785), and kept and sent as those very bytes. All its members
are ASCII strings without escapes and small integers, so a format string with sorted names *is* the canonical
form; a test proves it against the rfc8785 library.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

COUNT_MAX: Final = 1_000_000  # the service takes no more, and an entry that it refuses would block all later ones


@dataclass(frozen=True, slots=True)
class Counts:
    """One number for each agent type, each from 0 to COUNT_MAX."""

    server: int = 0
    workstation: int = 0
    server_plus: int = 0

    def __post_init__(self) -> None:
        for count in (self.server, self.workstation, self.server_plus):
            if type(count) is not int or not 0 <= count <= COUNT_MAX:
                raise ValueError(f"a count is a whole number from 0 to {COUNT_MAX:,}, not {count!r}")

    def members(self) -> str:
        """The members of the JSON object, in canonical order, without the braces."""
        return f'"server":{self.server},"server_plus":{self.server_plus},"workstation":{self.workstation}'


class Change(NamedTuple):
    """From this instant on so many agents are deployed (and, if known, active)."""

    at: datetime
    deployed: Counts
    active: Counts | None = None


def base64url(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The bytes of base64url without padding; ValueError if it is none."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with Z: whole seconds, or six digits where there are microseconds."""
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return at.astimezone(UTC).isoformat()[:-6] + "Z"


def read_instant(text: str) -> datetime:
    """The aware instant of an RFC 3339 text; ValueError if it is none."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"no time zone in {text!r}")
    return at.astimezone(UTC)


def change_entry(n: int, at: str, deployed: str, active: str | None) -> bytes:
    """A change in canonical JSON; `deployed` and `active` are `Counts.members()`."""
    if active is None:
        return f'{{"at":"{at}","n":{n},{deployed}}}'.encode()
    return f'{{"active":{{{active}}},"at":"{at}","n":{n},{deployed}}}'.encode()


def lost_entry(n: int, since: str, until: str) -> bytes:
    """A stretch whose changes the spool had to drop, in canonical JSON."""
    return f'{{"from":"{since}","n":{n},"until":"{until}"}}'.encode()


def standalones_entry(n: int, at: str, seen: Sequence[str]) -> bytes:
    """The standalone installations seen from this instant on (their UUIDs), in canonical JSON."""
    listed = ",".join(f'"{installation}"' for installation in seen)
    return f'{{"at":"{at}","n":{n},"seen":[{listed}]}}'.encode()


def renumbered(entry: bytes, old: int, new: int) -> bytes:
    """The same entry under another number (`"n":` stands in an entry once: no string of ours can hold it)."""
    return entry.replace(b'"n":%d,' % old, b'"n":%d,' % new, 1)


def first_receipt(installation_id: str) -> bytes:
    """Receipt 0: the SHA-256 of the installation id's 36 characters."""
    return hashlib.sha256(installation_id.encode()).digest()


def next_receipt(receipt: bytes, entry: bytes) -> bytes:
    """Receipt n: the SHA-256 of the 32 bytes of receipt n-1 followed by entry n."""
    return hashlib.sha256(receipt + entry).digest()
