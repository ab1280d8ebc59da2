"""The messages between a Site Manager and the service, as site-protocol.md has them."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from license_api.v1.fields import (
    CommandIdText,
    Count,
    Flag,
    InstallationId,
    Instant,
    InstantText,
    KeyIdText,
    Message,
    Name,
    Nonce,
    Note,
    Number,
    Said,
    Sha256Hex,
    SiteIdText,
    decode,
)
from services import sites
from services.keys import KeyState
from services.sites import Activation, Bearer, Heartbeat, Result
from services.usage import Counts, Entry, canonical

ENTRIES_MAX = 1_000


class AgentCounts(Message):
    """Agents of each type."""

    server: Count
    workstation: Count
    server_plus: Count

    def counts(self) -> Counts:
        """Give them as the domain has them."""
        return Counts(self.server, self.workstation, self.server_plus)


class Change(AgentCounts):
    """From `at` on, so many agents were deployed. Numbered consecutively on a line, with the other entries."""

    n: Number
    at: InstantText
    active: AgentCounts | None = None


class Standalones(Message):
    """The standalone installations that the Site Manager sees, when the set changed."""

    n: Number
    at: InstantText
    seen: list[InstallationId] = Field(max_length=ENTRIES_MAX)


class Lost(Message):
    """The spool was truncated: what happened in between is not known."""

    n: Number
    from_: InstantText = Field(alias="from")
    until: InstantText


class Backups(Message):
    """Outcomes of the site's backups, by number of definitions."""

    ok: Count
    warning: Count
    failed: Count
    overdue: Count

    def backups(self) -> sites.Backups:
        """Give them as the domain has them."""
        return sites.Backups(self.ok, self.warning, self.failed, self.overdue)


class CommandResult(Message):
    """What became of a command."""

    command: Name
    outcome: Literal["done", "refused", "failed"]
    text: Note = ""

    def result(self) -> Result:
        """Give it as the domain has it."""
        return Result(self.command, self.outcome, self.text)


class HeartbeatRequest(Message):
    """One heartbeat. Frozen by the site until it is answered, but for `sent_at`."""

    sequence: Number
    nonce: Nonce
    echo: Annotated[str, StringConstraints(max_length=200)]
    sent_at: InstantText
    deployed: AgentCounts
    active: AgentCounts | None = None
    changes: list[Change] | None = Field(default=None, max_length=ENTRIES_MAX)
    more: Flag = False
    standalones: Standalones | None = None
    lost: tuple[Lost, ...] = Field(default=(), max_length=ENTRIES_MAX)  # a list would be copied for each request
    resume: Flag = False
    hostname: Name | None = Field(default=None, description="The machine's name; said with `resume`.")
    backups: Backups | None = None
    results: tuple[CommandResult, ...] = Field(default=(), max_length=100)
    next_credential_sha256: Sha256Hex | None = None

    @model_validator(mode="after")
    def _entries_are_apart(self) -> Self:
        numbers = [entry.n for entry in self._numbered()]
        if len(numbers) > ENTRIES_MAX:
            raise ValueError(f"at most {ENTRIES_MAX} numbered entries a request")
        if len(set(numbers)) != len(numbers):
            raise ValueError("each entry has a number of its own")
        return self

    def _numbered(self) -> list[Change | Standalones | Lost]:
        standalones = [self.standalones] if self.standalones else []
        return [*(self.changes or []), *standalones, *self.lost]

    def heartbeat(self, bearer: Bearer, address: Callable[[], str | None] = lambda: None) -> Heartbeat:
        """Give it as the domain has it, with its entries in the order of their numbers."""
        return Heartbeat(
            bearer=bearer,
            sequence=self.sequence,
            nonce=decode(self.nonce),
            echo=self.echo,
            sent_at=datetime.fromisoformat(self.sent_at),
            sent_at_text=self.sent_at,
            deployed=self.deployed.counts(),
            active=self.active.counts() if self.active else None,
            entries=sorted(map(_entry, self._numbered()), key=lambda entry: entry.n),
            numbered=self.changes is not None,
            more=self.more,
            resume=self.resume,
            hostname=self.hostname,
            address=address,
            backups=self.backups.backups() if self.backups else None,
            results=[result.result() for result in self.results],
            next_credential_sha256=bytes.fromhex(self.next_credential_sha256) if self.next_credential_sha256 else None,
        )


def _entry(sent: Change | Standalones | Lost) -> Entry:
    text = canonical(sent.model_dump(mode="json", by_alias=True, exclude_unset=True))
    if isinstance(sent, Change):
        active = sent.active.counts() if sent.active else None
        return Entry(sent.n, "change", datetime.fromisoformat(sent.at), text, sent.counts(), active)
    if isinstance(sent, Standalones):
        return Entry(sent.n, "standalones", datetime.fromisoformat(sent.at), text)
    return Entry(sent.n, "lost", datetime.fromisoformat(sent.from_), text)


class Notice(Said):
    """Something the site should know about what it sent: an entry, a result, a credential that nobody asked for."""

    code: Literal["clock_suspect", "conflict", "command_unknown", "command_expired", "credential_ignored"]
    n: int | None = None
    command: str | None = None


class CommandOffered(Said):
    """Something that the site is asked to do, at most once and not after `expires_at`. It may refuse."""

    id: CommandIdText
    kind: sites.CommandKind
    name: str | None = Field(default=None, description="The backup definition to run, or the site's new name.")
    expires_at: Instant


class HeartbeatAnswer(Said):
    """The answer to a heartbeat; what it says is durable."""

    state: KeyState
    reason: str | None
    sequence: int
    echo: str
    through: int
    receipt: Sha256Hex
    server_time: Instant
    next_heartbeat_seconds: int
    lease: str | None = Field(default=None, description="A compact JWS; only when due.")
    notices: list[Notice] = Field(default_factory=list)
    commands: list[CommandOffered] = Field(default_factory=list)


class ActivationRequest(Message):
    """A Site Manager binds itself to a key."""

    license_key: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    installation_id: InstallationId
    credential_sha256: Sha256Hex
    public_key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
    product: Literal["site_manager", "server_plus"]
    version: Annotated[str, StringConstraints(pattern=r"^\d{1,4}(\.[0-9A-Za-z.+-]{1,40})?$")]
    hostname: Name
    name: Name | None = None
    timezone: Name | None = None
    console_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\x00-\x20]+$", max_length=500)] | None = None

    def activation(self) -> Activation:
        """Give it as the domain has it."""
        return Activation(
            license_key=self.license_key,
            installation_id=self.installation_id,
            credential_sha256=bytes.fromhex(self.credential_sha256),
            public_key=decode(self.public_key),
            product=self.product,
            version=self.version,
            hostname=self.hostname,
            name=self.name,
            timezone=self.timezone,
            console_url=self.console_url,
        )


class SitePolicy(Said):
    """The knobs of the policy that concern a site, in seconds."""

    heartbeat_seconds: int
    warn_after_seconds: int
    disable_after_seconds: int


class ActivationAnswer(Said):
    """The binding; a repeat of the request gets it again, the echo only before the first heartbeat."""

    site_id: SiteIdText
    key_id: KeyIdText
    installation_id: InstallationId
    state: KeyState
    policy: SitePolicy
    echo: str | None = None
    through: int
    receipt: Sha256Hex
    lease: str | None = None
    server_time: Instant
    next_heartbeat_seconds: int
