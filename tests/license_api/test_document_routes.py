"""Documents over HTTP: anybody reads what is in force, and a registration accepts that and nothing else."""

import httpx
import pytest

from services.partners import PartnerKind
from tests.services.partners.test_registration import ASKED
from tests.support.people import Headers, signed_in
from tests.support.problems import pointers, problem
from tests.support.world import World


async def publish(client: httpx.AsyncClient, vendor: Headers, kind: str, version: str) -> httpx.Response:
    body = {"kind": kind, "version": version, "text_it": f"Testo {version}.\n\nUno.", "text_en": f"Text {version}."}
    return await client.post("/v1/documents", json=body, headers=vendor)


@pytest.fixture
async def vendor(world: World) -> Headers:
    return await signed_in(world, PartnerKind.VENDOR)


async def test_anybody_reads_the_documents_in_force_and_by_their_ids_those_of_before(
    client: httpx.AsyncClient, world: World, vendor: Headers
) -> None:
    assert (await client.get("/v1/documents")).json() == {"items": []}
    made = []
    for kind, version in (("terms", "2026-1"), ("privacy", "2026-1"), ("terms", "2026-2")):
        world.clock.advance(minutes=1)
        answer = await publish(client, vendor, kind, version)
        assert answer.status_code == 201, answer.text
        made.append(answer.json())
    problem(await publish(client, vendor, "terms", "2026-1"), 409, "version_taken")
    broken = await publish(client, vendor, "terms", "2026-3\0")
    assert pointers(broken) == ["/version", "/text_it", "/text_en"]
    listed = (await client.get("/v1/documents")).json()["items"]
    assert [(one["kind"], one["version"]) for one in listed] == [("privacy", "2026-1"), ("terms", "2026-2")]
    assert (await client.get(f"/v1/documents/{made[0]['id']}")).json() == made[0]
    assert made[0]["text_it"] == "Testo 2026-1.\n\nUno."
    problem(await client.get("/v1/documents/document_00000000000000000000000000"), 404, "not_found")


async def test_a_registration_accepts_the_versions_in_force_once_there_are_any(
    client: httpx.AsyncClient, world: World, vendor: Headers
) -> None:
    asked = dict(ASKED)
    assert (await client.post("/v1/registrations", json=asked)).status_code == 202
    for kind, field in (("terms", "accepted_terms"), ("privacy", "accepted_privacy_notice")):
        world.clock.advance(minutes=1)
        await publish(client, vendor, kind, "2026-1")
        assert (await client.post("/v1/registrations", json=asked)).status_code == 202
        world.clock.advance(minutes=1)
        await publish(client, vendor, kind, "2026-2")
        for old in ("2026-1", "anything"):
            answer = await client.post("/v1/registrations", json={**asked, field: old})
            assert problem(answer, 422, "request_invalid")["detail"].startswith("In force is version 2026-2;")
            assert pointers(answer) == [f"/{field}"]
        assert (await client.post("/v1/registrations", json={**asked, field: "2026-2"})).status_code == 202
        asked[field] = "2026-2"
