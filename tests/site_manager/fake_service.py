"""A small License API in memory: the protocol's essentials, written from the protocol and not from the client."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import rfc8785
from joserfc import jws
from joserfc.jwk import OKPKey

START = datetime(2026, 11, 1, tzinfo=UTC)
KEY = "00000-00000-0003N-QK8N2-4CWYJ"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def move(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class Line:
    """One line of an installation: its entries by number, its receipts, and its last answer."""

    entries: dict[int, dict[str, Any]] = field(default_factory=dict)
    receipts: list[bytes] = field(default_factory=list)
    sequence: int = 0
    nonce: str | None = None
    echo: str = ""
    first_n: int = 1

    @property
    def through(self) -> int:
        return len(self.receipts) - 1


@dataclass
class Sent:
    """A heartbeat as it arrived."""

    body: bytes
    members: dict[str, Any]
    authorization: str


class FakeService:
    """One key, one installation, any number of lines; faults are asked for by setting attributes."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.signing = OKPKey.generate_key("Ed25519", {"kid": "k1"})
        self.published = [self.signing]
        self.lines: list[Line] = []
        self.installation: str | None = None
        self.activations: list[dict[str, Any]] = []
        self.heartbeats: list[Sent] = []
        self.jwks_asked = 0
        self.state = "active"
        self.interval = 900
        self.lease_always = False
        self.extra_claims: dict[str, Any] = {}
        self.lose_replies = 0
        self.down = False
        self.next_answers: list[httpx.Response] = []
        self.hook: Callable[[], None] | None = None
        self.commands: list[dict[str, Any]] = []
        self.sent_commands: list[dict[str, Any]] = []
        self.inventories: list[tuple[str, dict[str, Any]]] = []
        self.next_credential: str | None = None
        self.notices: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.handle), base_url="https://service.test")

    def handle(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("no route", request=request)
        with self._lock:
            response = self._route(request)
        if self.lose_replies:
            self.lose_replies -= 1
            raise httpx.ReadError("connection reset", request=request)
        return response

    def _route(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/.well-known/jwks.json":
            self.jwks_asked += 1
            return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.published]})
        body = request.content
        members = json.loads(body)
        if request.url.path == "/v1/inventory":
            self.inventories.append((request.method, members))
        elif request.url.path == "/v1/heartbeats":
            self.heartbeats.append(Sent(body, members, request.headers.get("authorization", "")))
        else:
            self.activations.append(members)
        if self.hook:
            self.hook()
        if self.next_answers:
            return self.next_answers.pop(0)
        if request.url.path == "/v1/activations":
            return self._activate(members)
        if request.url.path == "/v1/inventory":
            return httpx.Response(200, json={"revision": members["revision"]})
        return self._heartbeat(members, request.headers.get("authorization", ""))

    # Activation

    def _activate(self, members: dict[str, Any]) -> httpx.Response:
        if members["license_key"] != KEY:
            return problem(404, "key_unknown")
        if self.installation not in (None, members["installation_id"]):
            return problem(409, "key_already_bound")
        first = self.installation is None
        if first:
            self.installation = members["installation_id"]
            self.credential = members["credential_sha256"]
            receipt_0 = hashlib.sha256(self.installation.encode()).digest()
            self.lines = [Line(receipts=[receipt_0])]
            self.lines[0].echo = self._echo(0)
        elif members["credential_sha256"] != self.credential:
            return problem(409, "credential_mismatch")
        return httpx.Response(201 if first else 200, json=self._binding())

    def _binding(self) -> dict[str, Any]:
        line = self.lines[0]
        answer = {
            "site_id": "site_01fake",
            "key_id": "key_01fake",
            "installation_id": self.installation,
            "state": self.state,
            "policy": {"heartbeat_seconds": 900, "warn_after_seconds": 86400, "disable_after_seconds": 1209600},
            "through": line.through,
            "receipt": line.receipts[-1].hex(),
            "lease": self.lease(),
            "server_time": stamp(self.clock()),
            "next_heartbeat_seconds": self.interval,
            "something_new": {"unknown": True},
        }
        return answer | ({"echo": line.echo} if line.sequence == 0 else {})

    # Heartbeat

    def _heartbeat(self, members: dict[str, Any], authorization: str) -> httpx.Response:
        site, installation, secret = authorization.removeprefix("Bearer ").split(".")
        digest = hashlib.sha256(secret.encode()).hexdigest()
        if digest == self.next_credential:
            self.credential, self.next_credential = digest, None
        if (site, installation, digest) != ("site_01fake", self.installation, self.credential):
            return problem(401, "credential_invalid")
        named = self._read_echo(members["echo"])
        if named is None:
            return self._line_broken(self.lines[0])
        line = self.lines[named[0]]
        if members["sequence"] == line.sequence and members["nonce"] == line.nonce:
            return self._answer(line, repeat=True)
        if members.get("resume"):
            opened = self._resume(members, line, named)
            if opened is None:
                return self._line_broken(line)
            line = opened
        elif named[1] < line.sequence or members["sequence"] != named[1] + 1:
            return self._line_broken(line)
        numbers = [entry["n"] for name in ("changes", "lost") for entry in members.get(name, [])]
        if named[2] > line.through and line.through + 1 not in numbers:  # restored: the echo is adopted
            return self._missing(line)
        refusal = self._take(members, line)
        return refusal or self._accept(members, line)

    def _resume(self, members: dict[str, Any], line: Line, named: tuple[int, int, int]) -> Line | None:
        _, sequence, through = named
        if members["sequence"] != sequence + 1:
            return None
        opened = Line(receipts=line.receipts[: through + 1], sequence=sequence, first_n=through + 1)
        opened.entries = {n: entry for n, entry in line.entries.items() if n <= through}
        self.lines.append(opened)
        return opened

    def _take(self, members: dict[str, Any], line: Line) -> httpx.Response | None:
        changes = members.get("changes", [])
        numbered = sorted(
            [*changes, *members.get("lost", []), *filter(None, [members.get("standalones")])],
            key=lambda entry: int(entry["n"]),
        )
        if len(numbered) > 1000:
            return problem(422, "request_invalid")
        fresh = [entry for entry in numbered if entry["n"] > line.through]
        if fresh and [entry["n"] for entry in fresh] != list(range(line.through + 1, fresh[-1]["n"] + 1)):
            return self._missing(line)
        if changes and not members["more"]:
            last = max(changes, key=lambda entry: int(entry["n"]))
            if any(last[name] != count for name, count in members["deployed"].items()):
                return problem(422, "deployed_mismatch")
        for entry in fresh:
            line.entries[entry["n"]] = entry
            line.receipts.append(hashlib.sha256(line.receipts[-1] + rfc8785.dumps(entry)).digest())
        return None

    def _accept(self, members: dict[str, Any], line: Line) -> httpx.Response:
        line.sequence, line.nonce = members["sequence"], members["nonce"]
        line.echo = self._echo(self.lines.index(line))
        self.next_credential = members.get("next_credential_sha256", self.next_credential)
        self.sent_commands, self.commands = self.commands, []
        return self._answer(line, repeat=False)

    def _answer(self, line: Line, repeat: bool) -> httpx.Response:
        answer: dict[str, Any] = {
            "state": self.state,
            "reason": None,
            "sequence": line.sequence,
            "echo": line.echo,
            "through": line.through,
            "receipt": line.receipts[-1].hex(),
            "server_time": stamp(self.clock()),
            "next_heartbeat_seconds": self.interval,
            "notices": [] if repeat else self.notices,
            "commands": self.sent_commands,
            "something_new": 1,
        }
        if repeat or self.lease_always:
            answer["lease"] = self.lease()
        return httpx.Response(200, json=answer)

    def _missing(self, line: Line) -> httpx.Response:
        return problem(409, "changes_missing", through=line.through, receipt=line.receipts[-1].hex())

    def _line_broken(self, line: Line) -> httpx.Response:
        return problem(409, "line_broken", through=line.through, receipt=line.receipts[-1].hex())

    # Echo and lease

    def _echo(self, index: int) -> str:
        line = self.lines[index]
        text = f"{index}.{line.sequence}.{line.through}"
        return f"{text}.{hmac.digest(b'service', text.encode(), 'sha256').hex()[:32]}"

    def _read_echo(self, echo: str) -> tuple[int, int, int] | None:
        text, _, mac = echo.rpartition(".")
        if not hmac.compare_digest(mac, hmac.digest(b"service", text.encode(), "sha256").hex()[:32]):
            return None
        index, sequence, through = map(int, text.split("."))
        return index, sequence, through

    def lease(self, *, key: OKPKey | None = None, alg: str = "Ed25519", **changed: Any) -> str:
        now = self.clock()
        claims = {
            "iss": "https://service.test",
            "sub": self.installation,
            "key": "key_01fake",
            "state": self.state,
            "types": ["server", "workstation"],
            "restore": "always",
            "through": 0,
            "receipt": "00" * 32,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(days=16)).timestamp()),
        }
        key = key or self.signing
        header = {"alg": alg, "kid": key.kid}
        payload = json.dumps(claims | self.extra_claims | changed)
        return jws.serialize_compact(header, payload, key, algorithms=[alg])


def stamp(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def problem(status: int, code: str, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
    body = {"type": f"https://service.test/problems/{code}", "title": code, "status": status, "code": code} | members
    content_type = {"Content-Type": "application/problem+json"}
    return httpx.Response(status, content=json.dumps(body), headers=content_type | (headers or {}))


def change_at(sent: Sent, n: int) -> dict[str, Any]:
    return next(entry for entry in sent.members["changes"] if entry["n"] == n)


def raw_public_key(base64url: str) -> bytes:
    return base64.urlsafe_b64decode(base64url + "=")


class Listening:
    """The same service on a real port, for a client in a process of its own."""

    def __init__(self, service: FakeService) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self._serve(self.rfile.read(int(self.headers["Content-Length"])))

            do_PUT = do_PATCH = do_POST

            def do_GET(self) -> None:
                self._serve(b"")

            def _serve(self, body: bytes) -> None:
                url = f"https://service.test{self.path}"
                response = service.handle(httpx.Request(self.command, url, content=body, headers=self.headers.items()))
                self.send_response(response.status_code)
                self.send_header("Content-Length", str(len(response.content)))
                self.end_headers()
                self.wfile.write(response.content)

            def log_message(self, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
