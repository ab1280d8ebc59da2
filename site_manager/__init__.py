"""The reference Site Manager: the site's end of the wire.

It keeps what it counts in one SQLite file, tells the service from there, and loses nothing and counts
nothing twice whatever happens to a reply, a process or a line. It knows the wire only and imports nothing of
the service.
"""

from site_manager.key_code import read_code
from site_manager.lease import Lease, LeaseRefused, Permission
from site_manager.machine import Done, FolderMachine, Machine
from site_manager.outcome import (
    Activated,
    Answered,
    Outcome,
    Refused,
    Repaired,
    Unreachable,
    Unwritable,
)
from site_manager.site import SiteManager
from site_manager.spool import Spool
from site_manager.wire import Change, Counts

__all__ = [
    "Activated",
    "Answered",
    "Change",
    "Counts",
    "Done",
    "FolderMachine",
    "Lease",
    "LeaseRefused",
    "Machine",
    "Outcome",
    "Permission",
    "Refused",
    "Repaired",
    "SiteManager",
    "Spool",
    "Unreachable",
    "Unwritable",
    "read_code",
]
