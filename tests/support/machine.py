"""A machine's side of the wire: what it keeps, what it sends next, what it learns. Bodies are JSON as on the wire."""

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from license_api.v1.wire import ActivationRequest, HeartbeatRequest
from services import ids
from services.sites import Activated, Activation, Answer, Heartbeat, read_bearer

Body = dict[str, Any]
NOWHERE = UUID(int=0)
Three = tuple[int, int, int]
"""Servers, workstations, Server Plus."""


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def instant(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def agents(three: Three) -> Body:
    return dict(zip(("server", "workstation", "server_plus"), three, strict=True))


def change(n: int, at: datetime, three: Three, **more: Any) -> Body:
    return {"n": n, "at": instant(at), **agents(three), **more}


def lost(n: int, since: datetime, until: datetime) -> Body:
    return {"n": n, "from": instant(since), "until": instant(until)}


@dataclass
class Machine:
    """One installation. It is simple: it sends what a test says, and believes what it is told."""

    license_key: str
    installation_id: UUID = field(default_factory=uuid4)
    secret: str = field(default_factory=lambda: base64url(secrets.token_bytes(32)))
    hostname: str = "backup01"
    version: str = "7.2.1"
    site_id: UUID = NOWHERE
    sequence: int = 0
    through: int = 0
    echo: str = ""
    receipt: str = ""

    def image(self) -> "Machine":
        """A copy of the disk as it is now: to restore from, or to run as a clone."""
        return replace(self)

    @property
    def headers(self) -> dict[str, str]:
        """Its credential."""
        return {"Authorization": f"Bearer {self.bearer}"}

    @property
    def bearer(self) -> str:
        return f"{ids.show('site', self.site_id)}.{self.installation_id}.{self.secret}"

    def activation_body(self, **fields: Any) -> Body:
        """A request to activate."""
        return {
            "license_key": self.license_key,
            "installation_id": str(self.installation_id),
            "credential_sha256": hashlib.sha256(self.secret.encode()).hexdigest(),
            "public_key": base64url(hashlib.sha256(self.installation_id.bytes).digest()),
            "product": "site_manager",
            "version": self.version,
            "hostname": self.hostname,
        } | fields

    def body(self, sent_at: datetime, deployed: Three, changes: Iterable[Body] | None = None, /, **fields: Any) -> Body:
        """Its next heartbeat."""
        sent: Body = {
            "sequence": self.sequence + 1,
            "nonce": base64url(secrets.token_bytes(16)),
            "echo": self.echo,
            "sent_at": instant(sent_at),
            "deployed": agents(deployed),
        }
        if changes is not None:
            sent["changes"] = list(changes)
        return sent | fields

    def activation(self, **fields: Any) -> Activation:
        """A request to activate as the domain has it."""
        return ActivationRequest(**self.activation_body(**fields)).activation()

    def heartbeat(self, body: Body) -> Heartbeat:
        """A body of it as the domain has it."""
        return HeartbeatRequest(**body).heartbeat(read_bearer(self.bearer))

    def learn(self, said: Activated | Answer | Mapping[str, Any]) -> None:
        """Keep what it was told."""
        told: Mapping[str, Any] = said if isinstance(said, Mapping) else {n: getattr(said, n, None) for n in _TOLD}
        site_id, receipt = told.get("site_id"), told["receipt"]
        if site_id is not None:
            self.site_id = site_id if isinstance(site_id, UUID) else ids.read("site", site_id) or self.site_id
        self.sequence = told.get("sequence") or self.sequence
        self.echo = told.get("echo") or self.echo
        self.through = told["through"]
        self.receipt = receipt.hex() if isinstance(receipt, bytes) else receipt


_TOLD = ("site_id", "sequence", "echo", "through", "receipt")
