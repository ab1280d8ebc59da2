"""A PostgreSQL and a Valkey of one's own, where none is installed.

`start()` gives both on unix sockets in a folder nobody else may enter, as durable as in production. They run
as an ordinary user even when root asks, side by side with any number of others, and are gone when the block
ends; when this process is killed they end with it, and the next start sweeps up its folder. Linux only.
"""

from ops.embedded.child import Child, spawn
from ops.embedded.folders import AlreadyRunning, Untrusted
from ops.embedded.server import Server, StartFailed
from ops.embedded.servers import Servers, start

__all__ = ["AlreadyRunning", "Child", "Server", "Servers", "StartFailed", "Untrusted", "spawn", "start"]
