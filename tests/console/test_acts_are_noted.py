"""What a person does by a page stands in the audit log, as what a program does by the API."""

import re

from sqlalchemy import select

from license_api.console.key_acts import ACTS
from services.ids import show
from services.partners import AuditEntry
from tests.console.conftest import Somebody
from tests.support.world import World


async def noted(world: World) -> list[str]:
    async with world.sessions() as db:
        rows = await db.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [row.action for row in rows if row.action.startswith(("key.", "move.", "command."))]


async def test_everything_that_is_done_to_a_key_is_a_line_of_the_audit_log(world: World, as_somebody: Somebody) -> None:
    machine = await world.running((3, 0, 0))
    key, pages = await world.key_of(machine), await as_somebody()
    here, site = f"/keys/{show('key', key.id)}", f"/sites/{show('site', key.site_id)}"
    other = show("msp", (await world.another_msp("Altra")).id)
    replaces = re.search(r'name="replaces" value="([^"]+)"', (await pages.get(f"{here}/acts/rotate")).text)
    assert replaces
    done = [
        (f"{here}/acts/rename", {"name": "Hotel Nuovo"}, "key.changed"),
        (f"{here}/acts/suspend", {"reason": "unpaid"}, "key.suspended"),
        (f"{here}/acts/resume", {}, "key.resumed"),
        (f"{here}/acts/release", {}, "key.released"),
        (f"{site}/snooze", {"days": "3"}, "key.snoozed"),
        (f"{site}/wake", {}, "key.snoozed"),
        (f"{here}/code", {}, "key.code_shown"),
        (f"{here}/acts/credential", {}, "command.created"),
        (f"{here}/acts/move", {"to_msp": other}, "move.offered"),
        (f"{here}/acts/withdraw", {}, "move.withdrawn"),
        (f"{here}/rotate", {"replaces": replaces[1]}, "key.rotated"),
        (f"{here}/acts/revoke", {"reason": "gone"}, "key.revoked"),
    ]
    for path, fields, _ in done:
        assert (await pages.post(path, **fields)).status_code in (200, 303), path
    assert await noted(world) == [action for _, _, action in done]
    assert set(ACTS) == {path.rpartition("/")[2] for path, _, _ in done if path.startswith(here)}


async def test_what_was_refused_is_not_noted(world: World, as_somebody: Somebody) -> None:
    machine = await world.running((3, 0, 0))
    key, pages = await world.key_of(machine), await as_somebody()
    assert (await pages.post(f"/keys/{show('key', key.id)}/acts/suspend", reason="")).status_code == 422
    assert (await pages.post(f"/sites/{show('site', key.site_id)}/snooze", days="400")).status_code == 422
    assert await noted(world) == []
