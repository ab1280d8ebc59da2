"""A fresh deployment: the operator invites the first admin of the vendor, who then can do anything."""

import asyncio

import httpx
import pyotp
import pytest
from typer.testing import CliRunner

from ops.cli import app as cli
from services.clock import system_clock
from services.settings import Settings
from tests.support.mail import Mailbox, deliver_letters
from tests.support.people import PASSWORD
from tests.support.problems import problem
from tests.support.world import World

EMAIL = "maria@vendor.example"


async def invite(world: World, monkeypatch: pytest.MonkeyPatch, settings: Settings, *arguments: str) -> tuple[int, str]:
    """Run the command as an operator does: settings are in the environment, and the clock is the machine's."""
    monkeypatch.setenv("TIDEMARK_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("TIDEMARK_MASTER_SECRET", settings.master_secret.get_secret_value())
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["users", "invite-admin", *arguments])
    world.clock.now = system_clock()
    return done.exit_code, done.output


async def test_the_first_admin_comes_in_by_the_printed_link(
    client: httpx.AsyncClient, world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = await invite(world, monkeypatch, settings, EMAIL, "--language", "en")
    assert code == 0, said
    token = said.strip().rpartition("?token=")[2]
    accepted = {"token": token, "name": "Maria Rossi", "password": PASSWORD}
    assert (await client.post("/v1/invitations/acceptance", json=accepted)).json()["role"] == "admin"
    begun = (await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD})).json()
    headers = {"Authorization": f"Bearer {begun['secret']}"}
    problem(await client.get("/v1/msps", headers=headers), 403, "totp_required")
    secret = (await client.post("/v1/me/totp", headers=headers)).json()["secret"]
    right = pyotp.TOTP(secret).at(world.clock())
    assert (await client.put("/v1/me/totp", json={"code": right}, headers=headers)).status_code == 200
    appointed = {"name": "Distribuzione Nord", "zone": "Europe/Rome"}
    assert (await client.post("/v1/distributors", json=appointed, headers=headers)).status_code == 201
    log = (await client.get("/v1/audit-log", headers=headers)).json()["items"]
    assert (log[-1]["actor"], log[-1]["action"]) == ("operator", "invitation.sent")


async def test_the_letter_holds_the_same_link(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, said = await invite(world, monkeypatch, settings, EMAIL)
    mailbox = Mailbox()
    await deliver_letters(world, mailbox)
    assert mailbox.messages[-1]["To"] == EMAIL
    assert mailbox.token() == said.strip().rpartition("?token=")[2]


@pytest.mark.parametrize("address", ["maria", "maria@vendor", "Maria <maria@vendor.example>"])
async def test_what_is_no_address_is_refused(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    code, said = await invite(world, monkeypatch, settings, address)
    assert code == 2
    assert "no e-mail address" in said
