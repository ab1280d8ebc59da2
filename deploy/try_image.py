"""Runs the image as deploy/compose.yaml does (no root, no capability, nothing writable) and says what it saw.

python deploy/try_image.py IMAGE, as root with podman and runc; the servers are the embedded ones, lent on loopback.
"""
# ruff: noqa: T201

import asyncio
import contextlib
import json
import resource
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ops.embedded import Servers, start

READY_SECONDS_MAX = 30
REQUEST_SECONDS = 3
WHOAMI = """
import json, os
status = dict(line.split(":\\t", 1) for line in open("/proc/1/status").read().splitlines() if ":\\t" in line)
try:
    open("/opt/tidemark/x", "w")
    writable = True
except OSError:
    writable = False
print(json.dumps([os.getuid(), os.getgid(), status["CapBnd"].strip("0"), status["NoNewPrivs"], writable]))
"""


class Failed(AssertionError):
    """The image does not do what it must."""


class Image:
    """The image and how it is run; its containers bear a name of this trial."""

    def __init__(self, name: str, environment: dict[str, str], secrets_folder: Path) -> None:
        self._trial = f"tidemark-try-{secrets.token_hex(3)}"
        self._started: set[str] = set()
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self._run = (
            "podman --runtime runc run --network host --read-only --tmpfs /tmp:size=64m --cap-drop ALL "
            f"--security-opt no-new-privileges --ulimit nofile={files}:{files} --ulimit nproc=4096:4096 "
            f"--volume {secrets_folder}:/run/secrets:ro"
        ).split()
        for name_, value in environment.items():
            self._run += ["--env", f"{name_}={value}"]
        self._image = name

    async def once(self, command: str) -> tuple[int, str]:
        """Run a command to its end: its exit code and what it said."""
        return await run(*self._run, "--rm", self._image, command)

    async def begin(self, command: str) -> None:
        """Start a command and leave it running."""
        self._started.add(command)
        await done(*self._run, "--detach", "--name", self._named(command), self._image, command)

    async def running(self, command: str) -> bool:
        """Whether it still runs."""
        said = await done("podman", "inspect", "--format", "{{.State.Running}}", self._named(command))
        return said.strip() == "true"

    async def ask(self, command: str, program: str) -> str:
        """Run Python beside a running command, and give what it printed."""
        return await done("podman", "exec", self._named(command), "python", "-c", program)

    async def terminate(self, command: str) -> int:
        """Send SIGTERM, wait, and give the exit code."""
        await done("podman", "kill", "--signal", "TERM", self._named(command))
        return int(await done("podman", "wait", self._named(command)))

    async def forget(self) -> None:
        """Remove every container of this trial, and show what a failed one said."""
        for command in self._started:
            if sys.exc_info()[0]:
                _, said = await run("podman", "logs", self._named(command))
                print(f"--- {command}\n{said[-2000:]}", file=sys.stderr)
            await run("podman", "rm", "--force", "--time", "0", self._named(command))

    def _named(self, command: str) -> str:
        return f"{self._trial}-{command}"


async def run(*argv: str) -> tuple[int, str]:
    """Run a program: its exit code, and both of its outputs."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")


async def done(*argv: str) -> str:
    """Run a program that must succeed, and give what it said."""
    code, said = await run(*argv)
    check(code == 0, f"{' '.join(argv[:3])} ended with {code}: {said[-1000:]}")
    return said


def check(holds: bool, otherwise: str) -> None:
    """Raise `Failed` unless it holds."""
    if not holds:
        raise Failed(otherwise)


def saw(what: str) -> None:
    """Print what was seen."""
    print(f"  {what}", flush=True)


@contextlib.asynccontextmanager
async def on_loopback(path: str) -> AsyncIterator[int]:
    """Lend a unix socket, which only its owner may reach, as a port of the loopback address."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(path)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.contextmanager
def secret_files(database_url: str) -> Iterator[Path]:
    """Lay out the files of /run/secrets; their folder is closed to others, they are not."""
    with tempfile.TemporaryDirectory(prefix="tidemark-try-") as closed:
        folder = Path(closed) / "secrets"
        folder.mkdir()
        service_url = make_url(database_url).set(username="tidemark_login", password=secrets.token_hex(16))
        (folder / "TIDEMARK_DATABASE_URL").write_text(service_url.render_as_string(hide_password=False))
        (folder / "TIDEMARK_MIGRATE_DATABASE_URL").write_text(f"{database_url}\n")
        (folder / "TIDEMARK_MASTER_SECRET").write_text(f"{secrets.token_hex(32)}\n")
        yield folder


async def try_image(name: str, servers: Servers) -> None:
    """Run the three commands, in a wrong order and in the right one, and end them."""
    query = make_url(servers.database_url).query
    database, valkey = f"{query['host']}/.s.PGSQL.{query['port']}", urlsplit(servers.redis_url).path
    async with on_loopback(database) as database_port, on_loopback(valkey) as valkey_port:
        with secret_files(f"postgresql+asyncpg://tidemark@127.0.0.1:{database_port}/tidemark") as folder:
            port = free_port()
            environment = {
                "TIDEMARK_REDIS_URL": f"redis://127.0.0.1:{valkey_port}/0",
                "TIDEMARK_HOST": "127.0.0.1",
                "TIDEMARK_PORT": str(port),
            }
            image, url = Image(name, environment, folder), f"http://127.0.0.1:{port}"
            try:
                await before_the_schema(image)
                await with_the_schema(image, url)
                await without_valkey(image, servers, url)
                await drained(image, servers, url)
            finally:
                await image.forget()


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def before_the_schema(image: Image) -> None:
    """The API ends, for its restart policy to try again; the worker waits."""
    await image.begin("worker")
    code, _ = await image.once("api")
    check(code not in (0, 137), f"the API before the schema ended with {code}")
    saw(f"api before the schema: ends with {code}")
    check(await image.running("worker"), "the worker ended for want of a schema")
    saw("worker before the schema: keeps running")


async def with_the_schema(image: Image, url: str) -> None:
    """Migrations can run again; the API is ready; the process may do nothing else."""
    for turn in ("first", "second"):
        code, said = await image.once("migrate")
        check(code == 0, f"migrate ended with {code}: {said}")
        saw(f"migrate, {turn} time: ends with 0")
    began = time.monotonic()
    await image.begin("api")
    await ready(url)
    saw(f"api: /readyz answers 200 after {time.monotonic() - began:.1f} s")
    uid, gid, capabilities, no_new_privileges, writable = json.loads(await image.ask("api", WHOAMI))
    check(
        (uid, gid, capabilities, no_new_privileges, writable) == (65532, 65532, "", "1", False),
        "the API may do more than it should",
    )
    saw(f"api: user {uid}:{gid}, no capability, no new privileges, root file system not writable")


async def without_valkey(image: Image, servers: Servers, url: str) -> None:
    """Neither ends when Valkey does."""
    await asyncio.to_thread(servers.valkey.kill)
    await asyncio.sleep(5)
    await ready(url)
    check(await image.running("worker"), "the worker ended with Valkey")
    await asyncio.to_thread(servers.valkey.restart)
    saw("valkey killed: api stays ready, worker keeps running")


async def drained(image: Image, servers: Servers, url: str) -> None:
    """SIGTERM lets the request under way be answered, then the process ends with 0."""
    engine = create_async_engine(servers.database_url)
    async with httpx.AsyncClient() as client, engine.connect() as connection:
        await connection.execute(text("lock table alembic_version in access exclusive mode"))
        waiting = asyncio.create_task(client.get(f"{url}/readyz", timeout=REQUEST_SECONDS * 5))
        await asyncio.sleep(1)
        ending = asyncio.create_task(image.terminate("api"))
        await asyncio.sleep(REQUEST_SECONDS)
        check(not waiting.done(), "the request did not wait for the lock")
        await connection.rollback()
        check((await waiting).status_code == httpx.codes.OK, "the request under way was not answered")
    await engine.dispose()
    code = await ending
    check(code == 0, f"the API ended with {code}")
    saw("api, SIGTERM: the request under way is answered, then it ends with 0")
    code = await image.terminate("worker")
    check(code == 0, f"the worker ended with {code}")
    saw("worker, SIGTERM: ends with 0")


async def ready(url: str) -> None:
    """Wait until the API is ready."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    async with httpx.AsyncClient() as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"{url}/readyz", timeout=5)).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(0.1)
    raise Failed(f"/readyz did not answer 200 within {READY_SECONDS_MAX} s")


def main() -> None:
    """Try the image that the argument names."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} IMAGE")
    with start() as servers:
        asyncio.run(try_image(sys.argv[1], servers))
    print("The image does what it must.")


if __name__ == "__main__":
    main()
