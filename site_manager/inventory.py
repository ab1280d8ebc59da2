"""The inventory on its way: whole in parts when asked for, then what has changed; each revision's number is on disk."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

AGENTS_MAX: Final = 1000
BYTES_MAX: Final = 200_000  # the service takes 256 KiB


@dataclass(frozen=True, slots=True)
class Plan:
    """Requests to be sent in this order, and the agents as they are known to the service afterwards."""

    method: str
    bodies: Sequence[bytes]
    revision: int
    agents: dict[str, str]


def want_whole(db: sqlite3.Connection) -> None:
    """Have the whole inventory sent, until it has been. The caller's transaction must be durable."""
    db.execute("UPDATE inventory SET whole = 1")


def is_wanted(db: sqlite3.Connection) -> bool:
    """Whether the whole inventory is to be sent."""
    return bool(db.execute("SELECT whole FROM inventory").fetchone()[0])


def plan(db: sqlite3.Connection, agents: Sequence[dict[str, Any]]) -> Plan | None:
    """Number the next revision and say what to send; None if nothing has changed, or nobody ever asked."""
    whole, revision, told_revision = db.execute("SELECT whole, revision, told_revision FROM inventory").fetchone()
    present = {str(agent["id"]): json.dumps(agent, separators=(",", ":")) for agent in agents}
    if not whole and told_revision is None:
        return None
    number = revision + 1
    if whole:
        parts = list(_parts(list(present.values())))
        bodies = [_part(number, i, len(parts), part) for i, part in enumerate(parts, start=1)]
        method = "PUT"
    else:
        told = dict(db.execute("SELECT id, body FROM agent").fetchall())
        changed = [body for name, body in present.items() if told.get(name) != body]
        gone = [name for name in told if name not in present]
        if not changed and not gone:
            return None
        if len(changed) > AGENTS_MAX or len(gone) > AGENTS_MAX or sum(map(len, [*changed, *gone])) > BYTES_MAX:
            want_whole(db)
            return plan(db, agents)
        bodies, method = [_changes(told_revision, number, changed, gone)], "PATCH"
    db.execute("UPDATE inventory SET revision = ?", (number,))
    return Plan(method, bodies, number, present)


def settle(db: sqlite3.Connection, sent: Plan) -> None:
    """The service has this revision."""
    db.execute("UPDATE inventory SET whole = 0, told_revision = ?", (sent.revision,))
    db.execute("DELETE FROM agent")
    db.executemany("INSERT INTO agent (id, body) VALUES (?, ?)", sent.agents.items())


def overtake(db: sqlite3.Connection, revision: int) -> None:
    """The service has a newer revision (this file is an old copy): go on behind it, with the whole."""
    db.execute("UPDATE inventory SET whole = 1, revision = max(revision, ?)", (revision,))


def give_up(db: sqlite3.Connection) -> None:
    """The service refuses this inventory: send it no more unless asked again."""
    db.execute("UPDATE inventory SET whole = 0, told_revision = NULL")
    db.execute("DELETE FROM agent")


def _parts(bodies: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    room = BYTES_MAX
    for body in bodies:
        size = len(body) + 1
        if part and (len(part) == AGENTS_MAX or size > room):
            yield part
            part, room = [], BYTES_MAX
        part.append(body)
        room -= size
    yield part


def _part(revision: int, part: int, parts: int, bodies: list[str]) -> bytes:
    return f'{{"revision":{revision},"part":{part},"parts":{parts},"agents":[{",".join(bodies)}]}}'.encode()


def _changes(base: int, revision: int, bodies: list[str], gone: list[str]) -> bytes:
    agents = ",".join(bodies)
    return f'{{"base":{base},"revision":{revision},"agents":[{agents}],"gone":{json.dumps(gone)}}}'.encode()
