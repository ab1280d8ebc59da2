"""Doing what answers asked for: each command at most once, the inventory until the service has it.

Every step is on disk before the next: a command is begun there before the machine is asked, and a process that is
killed in the middle finds it begun and leaves it so.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import httpx

from site_manager import commands, credential, inventory
from site_manager.answers import read_problem
from site_manager.commands import Asked
from site_manager.machine import Done, Machine
from site_manager.spool import Spool
from site_manager.wire import instant, read_instant

PATH: Final = "/v1/inventory"
INVENTORY_EVERY: Final = timedelta(hours=1)
_REFUSED: Final = Done("refused", "commands are switched off at this site")
_NOBODY: Final = Done("refused", "nothing at this site carries this out")
_UNKNOWN: Final = Done("refused", "this Site Manager does not know such a command")
_NO_NEWS: Final = (401, 408, 425, 429)


class Tender:
    """Does what a site was asked to do, by its spool and its machine; without a machine most is refused."""

    def __init__(
        self,
        spool: Spool,
        machine: Machine | None,
        clock: Callable[[], datetime],
        entropy: Callable[[int], bytes],
        *,
        refuses: bool,
    ) -> None:
        self._spool = spool
        self._machine = machine
        self._clock = clock
        self._entropy = entropy
        self._refuses = refuses
        self._told_inventory_at: datetime | None = None
        self._recovered = False

    def do_all(self) -> None:
        """Do the commands that wait, one after another; first end what a process before this one left in the middle."""
        if not self._recovered:
            with self._spool.transaction(durable=True) as db:
                commands.end_interrupted(db)
            self._recovered = True
        for asked in commands.waiting(self._spool.db):
            self._do(asked)

    async def tell_inventory(self, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
        """Send the whole inventory if it is asked for, else once an hour what has changed."""
        now = self._clock()
        due = self._told_inventory_at is None or now >= self._told_inventory_at + INVENTORY_EVERY
        agents = self._machine.inventory() if self._machine and (due or inventory.is_wanted(self._spool.db)) else None
        if agents is None:
            return
        self._told_inventory_at = now
        with self._spool.transaction(durable=True) as db:
            plan = inventory.plan(db, agents)
        if plan is not None:
            await self._send(http, headers, plan)

    def _do(self, asked: Asked) -> None:
        now = self._clock()
        with self._spool.transaction(durable=True) as db:
            if read_instant(asked.expires_at) <= commands.service_time(db, now):
                commands.end(db, asked.id, Done("failed", "expired"), told=True)
                return
            if refusal := self._refusal(asked):
                commands.end(db, asked.id, refusal)
                return
            if not commands.begin(db, asked, instant(now)):
                return
            if asked.kind == "rotate_credential":
                credential.make_next(db, self._entropy)
                return
            if asked.kind == "send_inventory":
                inventory.want_whole(db)
                return
        done = self._ask(asked)
        with self._spool.transaction(durable=True) as db:
            commands.end(db, asked.id, done)

    def _refusal(self, asked: Asked) -> Done | None:
        if self._refuses:
            return _REFUSED
        if asked.kind not in commands.KINDS:
            return _UNKNOWN
        if asked.kind == "rotate_credential":
            return None
        known = self._machine is not None and (asked.kind != "send_inventory" or self._machine.inventory() is not None)
        return None if known else _NOBODY

    def _ask(self, asked: Asked) -> Done:
        if self._machine is None:
            return _NOBODY
        return self._machine.run_backup(asked.name) if asked.kind == "run_backup" else self._machine.rename(asked.name)

    async def _send(self, http: httpx.AsyncClient, headers: dict[str, str], plan: inventory.Plan) -> None:
        for body in plan.bodies:
            try:
                answer = await http.request(plan.method, PATH, content=body, headers=headers)
            except httpx.HTTPError:
                return
            if answer.status_code != 200:
                self._take_no(answer)
                return
        with self._spool.transaction(durable=False) as db:
            inventory.settle(db, plan)
            commands.end_all_of(db, "send_inventory", Done("done"))

    def _take_no(self, answer: httpx.Response) -> None:
        """No news is tried again; where the service cannot follow it gets the whole; any other no is the end of it."""
        problem = read_problem(answer.status_code, answer.content)
        if problem is None or answer.status_code >= 500 or answer.status_code in _NO_NEWS:
            return
        with self._spool.transaction(durable=False) as db:
            if problem.code in ("inventory_unknown", "inventory_superseded"):
                inventory.overtake(db, problem.revision or 0)
                return
            inventory.give_up(db)
            commands.end_all_of(db, "send_inventory", Done("failed", f"{problem.code}: {problem.detail}"))
