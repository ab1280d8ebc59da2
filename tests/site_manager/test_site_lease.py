"""The lease is taken only if it is genuine, ours and of now; each refusal has its name."""

import json
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from site_manager import Answered, Lease, LeaseRefused, SiteManager
from site_manager.lease import check_lease, permission, read_key_ring
from tests.site_manager.fake_service import Clock, FakeService
from tests.site_manager.machine import Machine


async def lease_of(site: SiteManager) -> Lease | LeaseRefused | None:
    outcome = await site.heartbeat()
    assert isinstance(outcome, Answered), outcome
    return outcome.lease


async def test_the_activation_s_lease_is_checked_and_kept(machine: Machine, site: SiteManager) -> None:
    assert isinstance(site.lease_in_hand(), Lease)
    assert isinstance(machine.site().lease_in_hand(), Lease)
    assert site.permission().new_agents


async def test_the_keys_are_fetched_only_when_a_kid_is_unknown(site: SiteManager, service: FakeService) -> None:
    service.lease_always = True
    for _ in range(3):
        assert isinstance(await lease_of(site), Lease)
    assert service.jwks_asked == 1
    service.signing = OKPKey.generate_key("Ed25519", {"kid": "k2"})
    service.published.append(service.signing)
    assert isinstance(await lease_of(site), Lease)
    assert service.jwks_asked == 2


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"sub": "00000000-0000-4000-8000-000000000000"}, "foreign"),
        ({"key": "key_02"}, "foreign"),
        ({"iat": 1793491200 + 3600}, "future"),
        ({"exp": 1793491200}, "expired"),
        ({"exp": "soon"}, "malformed"),
        ({"types": None}, "malformed"),
    ],
)
async def test_a_lease_that_is_not_ours_or_not_of_now_is_refused(
    site: SiteManager, service: FakeService, clock: Clock, changed: dict[str, Any], reason: str
) -> None:
    assert int(clock().timestamp()) == 1793491200
    before = site.lease_in_hand()
    service.lease_always, service.extra_claims = True, changed
    assert await lease_of(site) == LeaseRefused(reason)  # type: ignore[arg-type]
    assert site.lease_in_hand() == before


async def test_a_lease_signed_by_somebody_else_is_refused(site: SiteManager, service: FakeService) -> None:
    service.lease_always = True
    service.signing = OKPKey.generate_key("Ed25519", {"kid": "k1"})  # claims the published kid
    assert await lease_of(site) == LeaseRefused("forged")
    service.signing = OKPKey.generate_key("Ed25519", {"kid": "k9"})
    assert await lease_of(site) == LeaseRefused("key_unknown")


async def test_a_lease_waits_while_the_keys_cannot_be_fetched(
    machine: Machine, site: SiteManager, service: FakeService
) -> None:
    machine.spool().db.execute("UPDATE lease SET token = NULL, jwks = NULL")
    published, service.published = service.published, []
    service.lease_always = True
    assert await lease_of(site) == LeaseRefused("key_unknown")
    service.published, service.lease_always = published, False
    assert isinstance(await lease_of(machine.site()), Lease)


async def test_a_lease_ends_and_restore_does_not(site: SiteManager, clock: Clock) -> None:
    clock.move(days=15, hours=23)
    assert site.permission().backups
    clock.move(hours=1)
    assert site.lease_in_hand() == LeaseRefused("expired")
    assert site.permission() == permission("active", None)
    assert site.permission().restore


async def test_a_clock_set_back_does_not_prolong_a_lease_nor_refuse_a_new_one(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    clock.move(days=20)
    service.lease_always = True
    assert isinstance(await lease_of(site), Lease)
    genuine = clock.at
    own = Clock(genuine - timedelta(days=300))
    behind = SiteManager(machine.spool(), service.client(), own)
    clock.at = genuine + timedelta(days=1)
    outcome = await behind.heartbeat()
    assert isinstance(outcome, Answered) and isinstance(outcome.lease, Lease)
    assert outcome.clock_offset_seconds == -timedelta(days=301).total_seconds()


def ring(service: FakeService) -> dict[str, OKPKey]:
    return read_key_ring(json.dumps({"keys": [key.as_dict(private=False) for key in service.published]}))


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("alg", ["Ed25519", "EdDSA"])
def test_both_names_of_the_algorithm_are_taken(service: FakeService, clock: Clock, alg: str) -> None:
    service.installation = "i"
    token = service.lease(alg=alg)
    found = check_lease(token, ring(service), installation_id="i", key_id="key_01fake", now=clock())
    assert isinstance(found, Lease)


def test_no_other_algorithm_is_taken(service: FakeService, clock: Clock) -> None:
    public = service.signing.as_dict(private=False)["x"]
    stolen = OctKey.import_key(str(public))
    token = jws.serialize_compact({"alg": "HS256", "kid": "k1"}, "{}", stolen, algorithms=["HS256"])
    none = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.e30."
    for forged in (token, none):
        found = check_lease(forged, ring(service), installation_id="i", key_id="k", now=clock())
        assert found == LeaseRefused("algorithm")


@pytest.mark.parametrize("token", ["", "a.b", "!.!.!", "e30.e30", "eyJ.e30.AA", "W10.e30.AA", "x" * 20_000])
def test_what_is_no_token_is_malformed(service: FakeService, clock: Clock, token: str) -> None:
    found = check_lease(token, ring(service), installation_id="i", key_id="k", now=clock())
    assert found == LeaseRefused("malformed")


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"keys": 5}', '{"keys": [{"crv": "Ed25519", "kid": "a"}]}'])
def test_a_document_that_holds_no_keys_is_an_empty_ring(document: str) -> None:
    assert read_key_ring(document) == {}
