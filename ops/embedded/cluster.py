"""The files of a new PostgreSQL: made once by initdb as a template for this user, then copied."""

import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from ops.embedded.binaries import postgres_program, postgres_version
from ops.embedded.folders import home, locked
from ops.embedded.identity import give, server_identity, through_shim
from ops.embedded.server import ENVIRONMENT, StartFailed

ROLE = DATABASE = "tidemark"
INITDB_SECONDS_MAX = 120
# The builtin C.UTF-8 sorts the same on every machine; libc's C is the one locale each of them has.
INITDB = (
    f"--username={ROLE}",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
    "--no-sync",
)
# Not one more: each database is 300 files to copy at every start.
NAME_DATABASE = f"ALTER DATABASE postgres RENAME TO {DATABASE};\n"


def make_cluster(folder: Path, *, durable: bool) -> None:
    """Put a cluster with an empty database into `folder` unless it is there; `durable` waits for the disk."""
    if folder.exists():
        return
    making = folder.with_name(f"{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    # cp shares the blocks where the file system can, and takes half of copytree's time where it cannot.
    subprocess.run(["cp", "-R", str(template()), str(making)], check=True, cwd="/")
    give(making, server_identity())
    if durable:
        _run([postgres_program("initdb"), "--sync-only", "-D", making])
    making.rename(folder)
    if durable:
        _sync_folder(folder.parent)


def template() -> Path:
    """The cluster to copy, made on first use for this version and these settings; safe in parallel starts."""
    key = hashlib.sha256("\0".join((postgres_version(), *INITDB, NAME_DATABASE)).encode()).hexdigest()
    folder = home() / f"template-{key[:16]}"
    if not folder.exists():
        with locked(folder.with_suffix(".lock"), wait=True):
            if not folder.exists():  # another start made it while we waited
                _make_template(folder)
    return folder


def _make_template(folder: Path) -> None:
    making = folder.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    give(making, server_identity())
    _run([postgres_program("initdb"), *INITDB, "-D", making])
    _run([postgres_program("postgres"), "--single", "-D", making, "template1"], NAME_DATABASE)
    making.rename(folder)


def _run(argv: list[Path | str], sql: str = "") -> None:
    """Run a PostgreSQL program to its end as the servers' user; raises StartFailed with what it said."""
    command = through_shim([str(part) for part in argv], server_identity(), signal.SIGKILL)
    done = subprocess.run(
        command,
        input=sql,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=ENVIRONMENT,
        start_new_session=True,
        timeout=INITDB_SECONDS_MAX,
        check=False,
    )
    # Single-user mode exits 0 after a statement that failed.
    if done.returncode != 0 or "ERROR:" in done.stdout:
        raise StartFailed(f"{Path(argv[0]).name} ended with code {done.returncode}:\n{done.stdout[-4000:]}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
