"""The Site Manager's conversation with the service, one round at a time.

Time, chance and the HTTP client are arguments, so that the same code serves one real site and a rig with a
fleet of them. Each step is on disk before the next begins: a process that dies anywhere goes on where it was.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

import httpx

from site_manager import chain, credential, requests
from site_manager.activation import activation_body, bind, holds_other_key
from site_manager.answers import Answer, Problem, read_answer, read_binding, read_problem
from site_manager.key_code import read_code
from site_manager.lease import Lease, LeaseRefused, Permission, permission
from site_manager.lease_book import LeaseBook
from site_manager.machine import Machine
from site_manager.outcome import (
    Activated,
    ActivationOutcome,
    Answered,
    Outcome,
    Refused,
    Repaired,
    Unreachable,
    Unwritable,
)
from site_manager.recording import Recorder
from site_manager.repair import repair
from site_manager.requests import Frozen
from site_manager.retry import pause, read_retry_after
from site_manager.spool import (
    Identity,
    Spool,
    make_identity,
    read_bound,
    read_identity,
    read_progress,
    write_unverified,
)
from site_manager.tending import Tender
from site_manager.wire import Change, Counts, base64url, instant, read_instant

DEFAULT_INTERVAL_SECONDS: Final = 900.0
REPAIRS_AT_ONCE_MAX: Final = 3
_NO_NEWS: Final = frozenset({408, 425, 429})

L = TypeVar("L", Unreachable, Refused, Repaired, Unwritable)


class SiteManager:
    """One site: its spool, its HTTP client (with the service's base URL), its clock, its chance, and its machine."""

    def __init__(
        self,
        spool: Spool,
        http: httpx.AsyncClient,
        clock: Callable[[], datetime],
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        hostname: str | None = None,
        machine: Machine | None = None,
        *,
        refuses_commands: bool = False,
    ) -> None:
        self._spool = spool
        self._http = http
        self._clock = clock
        self._entropy = entropy
        self._hostname = hostname
        self._recorder = Recorder(spool)
        self._leases = LeaseBook(spool, http, clock)
        self._machine = machine
        self._tender = Tender(spool, machine, clock, entropy, refuses=refuses_commands)
        self._headers: dict[str, str] | None = None
        self._secret, self._secret_follows = "", False
        self._interval_seconds = DEFAULT_INTERVAL_SECONDS
        self._failures = 0
        self._repairs = 0
        self._limit = requests.ENTRIES_MAX
        self._next_at: datetime | None = None

    @property
    def next_at(self) -> datetime:
        """When to call `heartbeat()` again."""
        if self._next_at is None:
            told = read_progress(self._spool.db).next_at if read_identity(self._spool.db) else None
            self._next_at = self._clock() if told is None else read_instant(told)
        return self._next_at

    @property
    def interval_seconds(self) -> float:
        """The interval that the policy says: no pause of the site's own choice is longer."""
        return self._interval_seconds

    def record(self, at: datetime, deployed: Counts, active: Counts | None = None) -> bool:
        """Keep one change durably; False if the disk did not take it (it waits in memory then)."""
        return self.record_many([Change(at, deployed, active)])

    def record_many(self, changes: Iterable[Change]) -> bool:
        """Keep many changes, in order, in one durable transaction; what changes nothing is left out."""
        self._identity()
        return self._recorder.record(changes)

    def record_standalones(self, at: datetime, seen: Sequence[str]) -> bool:
        """Keep durably which standalone installations (their UUIDs) are seen from this instant on.

        False if the disk did not take it: say it again, for this does not wait in memory.
        """
        try:
            self._identity()
            with self._spool.transaction(durable=True) as db:
                chain.append_standalones(db, at, seen)
        except sqlite3.OperationalError:
            return False
        return True

    def permission(self) -> Permission:
        """What the site may do now, by the state last told and the lease in hand."""
        lease = self._leases.in_hand()
        state = read_progress(self._spool.db).state
        return permission(state, lease if isinstance(lease, Lease) else None)

    def lease_in_hand(self) -> Lease | LeaseRefused | None:
        """The lease in hand as it is worth now; None if there never was one."""
        return self._leases.in_hand()

    async def activate(
        self,
        license_key: str,
        *,
        hostname: str,
        version: str = "7.2",
        name: str | None = None,
        timezone: str | None = None,
        console_url: str | None = None,
        product: str = "site_manager",
        rotated: bool = False,
    ) -> ActivationOutcome:
        """Bind the key to this installation; doing it again is harmless and heals a lost answer.

        `rotated`: the site has a key already, and this is that key's new code.
        """
        code = read_code(license_key)
        if code is None:
            return Refused("key_malformed")
        try:
            identity = self._identity()
        except sqlite3.OperationalError as error:
            return Unwritable(str(error))
        if not rotated and holds_other_key(self._spool.db, code):
            return Refused("other_key_held")
        details = {"name": name, "timezone": timezone, "console_url": console_url}
        body = activation_body(identity, code, product=product, version=version, hostname=hostname, details=details)
        response = await self._post("/v1/activations", body, {"Content-Type": "application/json"})
        if isinstance(response, Unreachable):
            return response
        if response.status_code not in (200, 201):
            return self._no(response)
        return await self._take_binding(response, identity, code)

    async def heartbeat(self) -> Outcome:
        """One round: send the request that waits, or a new one, and take the answer over."""
        try:
            if not self._ready() or self._headers is None:
                return Refused("not_activated")
            frozen, body = self._prepare()
        except sqlite3.OperationalError as error:
            return self._later(Unwritable(str(error)))
        response = await self._post("/v1/heartbeats", body, self._headers)
        if isinstance(response, Unreachable):
            return self._later(response)
        try:
            return await self._take(frozen, response)
        except sqlite3.OperationalError as error:
            # The request is still frozen: its repeat brings the same answer.
            return self._later(Unwritable(str(error)))

    async def tend(self) -> None:
        """Do what the answers asked for, each command at most once; the results go out with the next heartbeat."""
        try:
            self._tender.do_all()
            if self._ready() and self._headers is not None:
                await self._tender.tell_inventory(self._http, self._headers)
        except sqlite3.OperationalError:
            return  # a full disk: what has been begun is not begun again, the rest waits

    def _identity(self) -> Identity:
        identity = read_identity(self._spool.db)
        if identity is None:
            with self._spool.transaction(durable=True) as db:
                identity = read_identity(db) or make_identity(db, self._entropy)
        return identity

    def _ready(self) -> bool:
        if self._headers is None:
            identity, bound = read_identity(self._spool.db), read_bound(self._spool.db)
            if identity is None or bound is None:
                return False
            self._secret, self._secret_follows = identity.secret_in_use, identity.next_secret is not None
            bearer = f"{bound.site_id}.{identity.installation_id}.{self._secret}"
            self._headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
            self._interval_seconds = bound.heartbeat_seconds
        return True

    def _prepare(self) -> tuple[Frozen, bytes]:
        at = instant(self._clock())
        with self._spool.transaction(durable=True) as db:
            self._recorder.write(db)
            frozen = requests.read_waiting(db)
            if frozen is None:
                backups = self._machine.backups() if self._machine else None
                nonce = base64url(self._entropy(16))
                frozen = requests.freeze(db, nonce, at, self._limit, self._hostname, backups)
            else:
                requests.note_sending(db, frozen, at)
        self._recorder.forget()
        return frozen, frozen.sent(at)

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response | Unreachable:
        try:
            return await self._http.post(path, content=body, headers=headers)
        except httpx.HTTPError as error:
            return Unreachable("unreachable", f"{type(error).__name__}: {error}")

    async def _take(self, frozen: Frozen, response: httpx.Response) -> Outcome:
        if response.status_code == 200:
            answer = read_answer(response.content)
            if answer is None or answer.sequence != frozen.sequence:
                return self._later(Unreachable("strange_answer", "200, but not a heartbeat's answer"))
            return await self._take_answer(frozen, answer)
        no = self._no(response)
        if isinstance(no, Unreachable):
            return self._later(no)
        if no.code == "credential_invalid" and self._turned():
            return self._again(no.code) if self._repairs == 0 else self._later(no)
        if not self._repaired(frozen, no, read_problem(response.status_code, response.content)):
            return self._later(no)
        return self._again(no.code)

    async def _take_answer(self, frozen: Frozen, answer: Answer) -> Answered:
        now = self._clock()
        self._next_at = now + timedelta(seconds=0 if frozen.more else answer.next_heartbeat_seconds)
        with self._spool.transaction(durable=False) as db:
            agreed = requests.settle(db, frozen, answer, now, self._next_at, self._secret)
            if agreed is not None and answer.lease is not None:
                write_unverified(db, answer.lease)
        self._failures = self._repairs = 0
        if frozen.offers or self._secret_follows:
            self._headers = None
        self._limit = min(self._limit * 2, requests.ENTRIES_MAX)
        return Answered(
            state=answer.state,
            reason=answer.reason,
            sequence=answer.sequence,
            through=answer.through,
            more=frozen.more,
            receipt_agrees=agreed is not False,
            clock_offset_seconds=(now - answer.server_time).total_seconds(),
            lease=await self._leases.review(),
            notices=answer.notices,
            commands=answer.commands,
        )

    async def _take_binding(self, response: httpx.Response, identity: Identity, code: str) -> ActivationOutcome:
        binding = read_binding(response.content)
        if binding is None or binding.installation_id != identity.installation_id:
            return Unreachable("strange_answer", "not an activation's answer")
        now, first = self._clock(), response.status_code == 201
        next_at = now + timedelta(seconds=binding.next_heartbeat_seconds)
        try:
            with self._spool.transaction(durable=True) as db:
                refusal = bind(db, binding, code, first=first, now=instant(now), next_at=instant(next_at))
        except sqlite3.OperationalError as error:
            return Unwritable(str(error))
        if refusal is not None:
            return Refused(refusal)
        self._headers, self._next_at = None, next_at
        self._ready()
        lease = await self._leases.review()
        return Activated(binding.site_id, binding.key_id, binding.state, first, binding.server_time, lease)

    def _no(self, response: httpx.Response) -> Refused | Unreachable:
        """What an answer that is not 200 means: a plain no only if the service itself says so."""
        status = response.status_code
        problem = read_problem(status, response.content)
        if status == 413:
            return Refused("body_too_large")
        if problem is not None and status < 500 and status not in _NO_NEWS:
            return Refused(problem.code, problem.detail)
        wait = read_retry_after(response.headers.get("Retry-After"), self._clock())
        if status >= 500:
            return Unreachable("unavailable", f"{status} {problem.detail if problem else ''}".strip(), wait)
        if problem is not None:
            return Unreachable(problem.code, problem.detail, wait)
        return Unreachable("too_early" if status == 429 else "strange_answer", str(status), wait)

    def _repaired(self, frozen: Frozen, no: Refused, problem: Problem | None) -> bool:
        if no.code == "body_too_large":
            self._limit = max(1, min(self._limit, frozen.entries) // 2)
        with self._spool.transaction(durable=False) as db:
            return repair(db, frozen, no.code, problem, instant(self._clock()), again=self._repairs > 0)

    def _turned(self) -> bool:
        """Whether there is another credential to try, while one follows the other."""
        with self._spool.transaction(durable=True) as db:
            turned = credential.turn(db)
        self._headers = None
        return turned

    def _again(self, code: str) -> Repaired:
        self._repairs += 1
        if self._repairs > REPAIRS_AT_ONCE_MAX:
            return self._later(Repaired(code))
        self._next_at = self._clock()
        return Repaired(code)

    def _later(self, outcome: L) -> L:
        self._failures += 1
        wait = outcome.retry_after if isinstance(outcome, Unreachable) else None
        seconds = pause(self._failures, self._interval_seconds, wait, self._entropy(4))
        self._next_at = self._clock() + timedelta(seconds=seconds)
        return outcome
