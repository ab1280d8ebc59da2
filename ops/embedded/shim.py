"""The last steps of a child before it becomes another program: change identity, tie its life to its parent.

Run as a file by a bare interpreter (`python -I -S shim.py PARENT SIGNAL HOW UID GID -- ARGV...`), so that
nothing of this happens between fork and exec of a process with threads. It imports nothing of Tidemark. With
no ARGV it only tries whether the identity can be had.
"""

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> None:
    """Become ARGV as the identity asked for; exit 0 without becoming anything when the parent has gone."""
    parent, signal, how, uid, gid = arguments[:5]
    environment = environment_given()  # now: after setuid, /proc/self is closed to us until the exec
    become(how, int(uid), int(gid))
    if arguments[6:]:
        die_with(int(parent), int(signal))
        os.execve(arguments[6], arguments[6:], environment)  # noqa: S606 - its whole purpose


def become(how: str, uid: int, gid: int) -> None:
    """Take the identity: `same`, `namespace` (we only look like uid and gid, to ourselves) or `setuid`."""
    if how == "namespace":
        enter_namespace(uid, gid)
    elif how == "setuid":
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)


def enter_namespace(uid: int, gid: int) -> None:
    """Enter a user namespace where our own ids are called uid and gid; on disk we stay who we were."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _checked(_libc.unshare(CLONE_NEWUSER))
    # The kernel lets a process map its own gid only once it has given up setgroups().
    Path("/proc/self/setgroups").write_text("deny", "ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1", "ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1", "ascii")


def environment_given() -> dict[bytes, bytes]:
    """The environment as our parent gave it: an interpreter in the C locale adds an LC_CTYPE to its own."""
    pairs = Path("/proc/self/environ").read_bytes().split(b"\0")
    return dict(pair.split(b"=", 1) for pair in pairs if b"=" in pair)


def die_with(parent: int, signal: int) -> None:
    """Have the kernel send us `signal` when our parent ends; after become(), which would clear this."""
    _checked(_libc.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0))
    if os.getppid() != parent:  # it ended before we asked, and the kernel will send nothing any more
        sys.exit(0)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
