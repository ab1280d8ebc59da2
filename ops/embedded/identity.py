"""Who the servers run as: PostgreSQL refuses root, and initdb a user without a name."""

import functools
import os
import pwd
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SHIM = Path(__file__).with_name("shim.py").resolve()
NOBODY = 65534

How = Literal["same", "namespace", "setuid"]


@dataclass(frozen=True)
class Identity:
    """How a child changes who it is, and the ids it then sees itself as."""

    how: How
    uid: int
    gid: int

    @property
    def owner(self) -> tuple[int, int]:
        """The uid and gid its files have on disk, seen from outside."""
        return (self.uid, self.gid) if self.how == "setuid" else (os.geteuid(), os.getegid())


def own_identity() -> Identity:
    """The identity of this process, unchanged."""
    return Identity("same", os.geteuid(), os.getegid())


@functools.cache
def server_identity() -> Identity:
    """An ordinary, named user: ourselves, or nobody in a user namespace, or (as root) the real nobody."""
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return own_identity()
    uid, gid = _nobody()
    namespace = Identity("namespace", uid, gid)
    if _can_be_had(namespace):
        return namespace
    return Identity("setuid", uid, gid) if os.geteuid() == 0 else own_identity()


def give(folder: Path, identity: Identity) -> None:
    """Make `folder` and all in it the identity's own; only root can, and only root needs to."""
    if os.geteuid() != 0 or folder.stat().st_uid == identity.owner[0]:
        return
    # Bottom up: the folder itself comes last, so a run cut short is seen above and done again.
    for at, _, files in os.walk(folder, topdown=False):
        for path in (*(Path(at, name) for name in files), Path(at)):
            os.chown(path, *identity.owner, follow_symlinks=False)


def _has_name(uid: int) -> bool:
    try:
        return bool(pwd.getpwuid(uid))
    except KeyError:
        return False


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return NOBODY, NOBODY
    return entry.pw_uid, entry.pw_gid


def _can_be_had(identity: Identity) -> bool:
    command = through_shim([], identity, signal.SIGKILL)
    return subprocess.run(command, cwd="/", capture_output=True, check=False, timeout=30).returncode == 0


def through_shim(argv: list[str], identity: Identity, death_signal: int) -> list[str]:
    """The command that becomes `argv` as `identity` and ends with this process."""
    ids = [identity.how, str(identity.uid), str(identity.gid)]
    return [sys.executable, "-I", "-S", str(SHIM), str(os.getpid()), str(death_signal), *ids, "--", *argv]
