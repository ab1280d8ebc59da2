"""Tests of ops.embedded: real servers, real signals, real processes."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ops.embedded import AlreadyRunning, Servers, StartFailed, Untrusted, spawn, start
from ops.embedded.folders import run_folder

ROOT = Path(__file__).resolve().parents[1]
DEADLINE_SECONDS = 10.0

# A process that runs both servers until it is told to leave, or is killed.
PARENT = """
import sys
from ops.embedded import start

with start() as servers:
    print(servers.database_url.split("host=")[1], flush=True)
    sys.stdin.read()
"""

# The same process on a machine that forbids user namespaces.
PARENT_WITHOUT_NAMESPACES = f"""
from ops.embedded import identity
identity._can_be_had = lambda _: False
{PARENT}
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with start() as running:
        yield running


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A system temporary folder of our own, short, and open to pass through as the real one is."""
    folder = Path(tempfile.mkdtemp(prefix="t-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        soon(lambda: not working_in(folder))  # servers of a killed parent still remove files of their own
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def parents(temporary: Path) -> "Iterator[dict[str, Parent]]":
    """Four processes with servers of their own, begun at once where no template was; each meets its end."""
    with contextlib.ExitStack() as stack:
        ends = ("leaves", "is terminated", "is interrupted", "is killed")
        yield {end: stack.enter_context(parent_process(temporary)) for end in ends}


async def query(servers: Servers, *statements: str) -> object:
    engine = create_async_engine(servers.database_url, poolclass=NullPool)
    async with engine.begin() as connection:
        results = [await connection.execute(text(statement)) for statement in statements]
        return results[-1].scalar() if results[-1].returns_rows else None


@contextlib.asynccontextmanager
async def queue_of(servers: Servers):  # type: ignore[no-untyped-def]
    client = Redis.from_url(servers.redis_url, decode_responses=True)
    yield client
    await client.aclose()


@dataclass
class Parent:
    """A process that runs servers; it leaves when its input ends."""

    process: "subprocess.Popen[str]"

    @cached_property
    def folder(self) -> Path:
        """Its run folder, known once both servers answer."""
        assert self.process.stdout is not None
        return Path(self.process.stdout.readline().strip())


@contextlib.contextmanager
def parent_process(temporary: Path, script: str = PARENT) -> Iterator[Parent]:
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": os.defpath, "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Parent(process)
    finally:
        process.kill()
        process.communicate()


def shared_memory_keys() -> set[str]:
    """The keys of all System V segments; one already removed but still attached has key 0."""
    return {line.split()[0] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def environment_of(pid: int) -> list[str]:
    return sorted(filter(None, Path(f"/proc/{pid}/environ").read_text().split("\0")))


def working_in(folder: Path) -> set[int]:
    """Every process whose working folder is below `folder`: both servers and all backends."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if str(link.readlink()).startswith(str(folder)):
                found.add(int(link.parent.name))
    return found


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


async def test_two_run_side_by_side_and_share_nothing(servers: Servers) -> None:
    with start() as others:
        for each, name in ((servers, "one"), (others, "two")):
            assert await query(each, "select 1") == 1
            async with queue_of(each) as queue:
                assert await queue.ping()
                assert await queue.set("name", name, nx=True)
        assert servers.database_url != others.database_url


def test_a_killed_postgres_leaves_no_shared_memory_after_the_block() -> None:
    with start() as mine:
        folder = Path(mine.database_url.split("host=")[1])
        key = (folder / "data/postgres/postmaster.pid").read_text().splitlines()[6].split()[0]
        assert key in shared_memory_keys()
        mine.postgres.kill()
    assert soon(lambda: key not in shared_memory_keys())


async def test_postgres_is_as_durable_as_in_production(servers: Servers) -> None:
    shown = {
        name: await query(servers, f"show {name}")
        for name in ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "timezone")
    }
    assert shown == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "timezone": "UTC",
    }
    assert await query(servers, "select rolname from pg_roles where rolsuper and rolname = user") == "tidemark"
    assert (
        await query(
            servers,
            "select pg_encoding_to_char(encoding) from pg_database where datname = current_database()",
        )
        == "UTF8"
    )


def test_the_sockets_are_closed_to_everybody_else(servers: Servers) -> None:
    folder = Path(servers.database_url.split("host=")[1])
    assert folder.stat().st_mode & 0o077 == 0


async def test_neither_side_heeds_the_environment(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATA", "/elsewhere")
    monkeypatch.setenv("PGPORT", "1")
    servers.postgres.restart()
    given = environment_of(servers.postgres.pid)
    assert given == ["LC_ALL=C", "PATH=/usr/bin:/bin", "TZ=UTC"]
    assert await query(servers, "select 1") == 1


async def test_a_committed_row_survives_the_kill_of_postgres(servers: Servers) -> None:
    await query(servers, "create table kept (n int)", "insert into kept values (42)")
    killed = servers.postgres.pid
    servers.postgres.kill()
    assert not servers.postgres.alive
    with pytest.raises(OSError):
        await query(servers, "select 1")
    servers.postgres.restart()
    assert servers.postgres.pid != killed
    assert await query(servers, "select n from kept") == 42


async def test_postgres_starts_again_once_a_straggling_backend_of_the_killed_one_has_gone(
    servers: Servers,
) -> None:
    engine = create_async_engine(servers.database_url, poolclass=NullPool)
    async with engine.connect() as connection:
        straggler = int(await connection.scalar(text("select pg_backend_pid()")) or 0)
        os.kill(straggler, signal.SIGSTOP)  # it cannot notice that its postmaster has gone
        release = threading.Timer(0.4, os.kill, (straggler, signal.SIGCONT))
        release.start()
        servers.postgres.restart()
        release.join()
        await connection.invalidate()
    assert await query(servers, "select 1") == 1


async def test_a_written_key_survives_the_kill_of_valkey(servers: Servers) -> None:
    async with queue_of(servers) as queue:
        await queue.set("kept", "42")
    servers.valkey.kill()
    assert not servers.valkey.alive
    servers.valkey.restart()
    async with queue_of(servers) as queue:
        assert await queue.get("kept") == "42"


async def test_a_data_folder_survives_and_has_one_user_at_a_time(tmp_path: Path) -> None:
    data = tmp_path / "a folder whose path is too long for a socket".ljust(120, "x")
    with start(data) as first:
        await query(first, "create table kept (n int)", "insert into kept values (42)")
        async with queue_of(first) as queue:
            await queue.set("kept", "42")
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"), start(data):
            pass
        assert await query(first, "select n from kept") == 42
    with start(data) as second:
        assert await query(second, "select n from kept") == 42
        async with queue_of(second) as queue:
            assert await queue.get("kept") == "42"
    # Before the next start, a stranger gets the pid of the postmaster of a machine that lost power.
    (data / "postgres" / "postmaster.pid").write_text(f"{os.getppid()}\n{data / 'postgres'}\n")
    with start(data) as third:
        assert await query(third, "select n from kept") == 42


def test_parallel_starts_make_one_template_and_all_use_it(parents: dict[str, Parent]) -> None:
    controls = [parent.folder / "data/postgres/global/pg_control" for parent in parents.values()]
    identifiers = {control.read_bytes()[:8] for control in controls}
    assert len(identifiers) == 1, "initdb gives each cluster an identifier of its own"


@pytest.mark.parametrize(
    ("end", "sig", "code"),
    [
        ("leaves", 0, 0),
        ("is terminated", signal.SIGTERM, 143),
        ("is interrupted", signal.SIGINT, -signal.SIGINT),
    ],
)
def test_nothing_is_left_when_the_parent(parents: dict[str, Parent], end: str, sig: int, code: int) -> None:
    parent = parents[end]
    assert len(working_in(parent.folder)) > 2
    parent.process.send_signal(sig)
    parent.process.communicate(timeout=DEADLINE_SECONDS) if sig == 0 else parent.process.wait(DEADLINE_SECONDS)
    assert parent.process.returncode == code
    assert not working_in(parent.folder)
    assert not parent.folder.exists()


def test_no_process_outlives_a_killed_parent_and_the_next_start_sweeps_its_folder(
    parents: dict[str, Parent], temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = parents["is killed"]
    assert len(working_in(killed.folder)) > 2
    killed.process.kill()
    assert soon(lambda: not working_in(killed.folder))
    assert killed.folder.exists()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with run_folder(lambda _: None) as mine, run_folder(lambda _: None):
        assert not killed.folder.exists()
        assert mine.exists(), "a sweep took the folder of one that runs"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_runs_the_servers_as_nobody_where_namespaces_are_forbidden(temporary: Path) -> None:
    with parent_process(temporary, PARENT_WITHOUT_NAMESPACES) as parent:
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in working_in(parent.folder)}
        assert owners == {65534}
    assert soon(lambda: not working_in(parent.folder))  # killed: setuid has not untied it


def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir(mode=0o700)
    (tmp_path / "postgres" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(StartFailed, match=r"postgres.log:(.|\n)*postgresql.conf"), start(tmp_path):
        pass


def test_a_home_others_can_write_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Short enough for sockets, or /tmp would be taken instead.
    with temporary_folder() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        home = folder / f"tidemark-{os.geteuid()}"
        home.mkdir()
        home.chmod(0o777)
        with pytest.raises(Untrusted), start():
            pass


def test_a_child_outlives_the_thread_that_spawned_it(tmp_path: Path) -> None:
    log, children = tmp_path / "log", []

    def spawn_and_wait_until_it_runs() -> None:
        children.append(spawn(["sh", "-c", "echo ready; exec sleep 60"], log=log))
        soon(lambda: log.read_text() == "ready\n")

    thread = threading.Thread(target=spawn_and_wait_until_it_runs)
    thread.start()
    thread.join()
    child = children[0]
    with pytest.raises(TimeoutError):
        child.wait(0.2)
    assert child.alive
    assert child.kill() == -signal.SIGKILL
    assert not child.alive


def test_a_child_that_ignores_the_request_is_killed_after_its_grace(tmp_path: Path) -> None:
    log = tmp_path / "log"
    deaf = spawn(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], log=log)
    polite = spawn(["sleep", "60"])
    assert soon(lambda: log.read_text() == "ready\n")
    assert deaf.terminate(grace=0.1) == -signal.SIGKILL
    assert polite.terminate(grace=5) == -signal.SIGTERM


def test_a_child_gets_exactly_its_environment_and_a_session_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert spawn(["/usr/bin/env"], env={"ONE": "a=b"}, log=log).wait(5) == 0
    assert log.read_text() == "ONE=a=b\n"
    sleeper = spawn(["sleep", "60"])
    assert os.getsid(sleeper.pid) == sleeper.pid
    sleeper.kill()


def test_a_program_that_does_not_exist_is_an_error_at_once() -> None:
    with pytest.raises(FileNotFoundError):
        spawn(["no-such-program"])
