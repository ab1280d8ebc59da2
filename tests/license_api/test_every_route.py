"""Every route x every role x an object of one's own, a stranger's, or none.

What each role may do is in one table here. A route that is not in it fails the test.
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any, Literal
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import select

from license_api.console.route import PageRoute
from services import delivery, ids, partners
from services.keys import Key
from services.partners import PartnerKind, Role
from services.partners.policy_bounds import BOUNDS
from services.reports.billing_tables import BillingTerms, Statement, StatementFile, StatementLine
from services.reports.tables import ClosedPeriod, Dispute, Exclusion, Report, ReportFile, ReportLine, VoidRequest
from tests.support.people import Headers, person, session_of
from tests.support.world import World

Object = Literal["own", "foreign", "absent"]
Caller = tuple[PartnerKind, Role]

CALLERS: list[Caller] = [(kind, role) for kind in PartnerKind for role in Role]
MSP, DISTRIBUTOR, VENDOR = PartnerKind.MSP, PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR
VIEWER, MEMBER, ADMIN = Role.VIEWER, Role.MEMBER, Role.ADMIN
EVERYBODY = frozenset(PartnerKind)
_ABSENT = "0" * 26


@dataclass(frozen=True)
class Rule:
    """Who may call a route: from which role on, and which kinds of partner; what to send, and what the answer is."""

    least: Role = VIEWER
    kinds: frozenset[PartnerKind] = EVERYBODY
    body: Mapping[str, Any] | None = None
    query: str = ""
    good: int = 200
    again: int | None = None  # what the next role is told, where the first has done it already
    sees: frozenset[PartnerKind] = frozenset()  # kinds that see the world's objects by the chain; else their own only
    foreign: bool = True  # whether there is a stranger's object to ask for


_CHAIN = frozenset({MSP, DISTRIBUTOR, VENDOR})
_DISPUTE = {"server": 1, "workstation": 0, "server_plus": 0, "reason": "one less"}
_VOID = {"from_at": "2199-03-01T00:00:00Z", "until_at": "2199-03-01T01:00:00Z", "reason": "by mistake"}
_ABOVE = frozenset({DISTRIBUTOR, VENDOR})
_ADJUSTMENT = {"server": 1, "workstation": 0, "server_plus": 0, "reason": "one more"}
_DECISION = {"granted": False, "reason": "no"}
_TERMS = {"no_data": "last_known", "shows_amounts": True}
_PRICES = {"currency": "EUR", "from_month": "2026-03", "prices": {"server": [{"from_units": 0, "price": "4.50"}]}}
_INVOICE = {"msp_id": "{own_msp}", "number": "12/2026", "invoiced_on": "2026-04-02"}
_CORRECTION = {"msp_id": "{own_msp}", "amount": "-1.50", "reason": "wrong price"}
_USER = {"role": "viewer"}
_BOUNDS = {knob: dict(zip(("least", "most"), bound, strict=True)) for knob, bound in BOUNDS.items()}
_APPROVAL = {"name": "Another name"}

# Routes that ask for no partner: sites' own, the operator's, and those that a letter or a password opens.
OPEN = {
    ("POST", "/v1/activations"),
    ("POST", "/v1/heartbeats"),
    ("PUT", "/v1/inventory"),
    ("PATCH", "/v1/inventory"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/v1/schemas/{schema}"),
    ("GET", "/v1/documents"),
    ("GET", "/v1/documents/{document_id}"),
    ("POST", "/v1/registrations"),
    ("POST", "/v1/registrations/verification"),
    ("POST", "/v1/sessions"),
    ("POST", "/v1/password-resets"),
    ("POST", "/v1/password-resets/completion"),
    ("POST", "/v1/invitations/acceptance"),
}
# Routes about oneself: every person may, and there is no other object. Tested with the people.
ONESELF = {
    ("GET", "/v1/me"),
    ("POST", "/v1/me/totp"),
    ("PUT", "/v1/me/totp"),
    ("DELETE", "/v1/me/totp"),
    ("POST", "/v1/me/password"),
    ("GET", "/v1/sessions"),
    ("DELETE", "/v1/sessions/{session_id}"),
    ("POST", "/v1/sessions/current/confirmation"),
}
RULES: dict[tuple[str, str], Rule] = {
    ("GET", "/v1/keys"): Rule(),
    ("POST", "/v1/keys"): Rule(MEMBER, frozenset({MSP}), {"name": "{fresh}"}, good=201),
    ("GET", "/v1/keys/{key_id}"): Rule(sees=_CHAIN),
    ("PATCH", "/v1/keys/{key_id}"): Rule(MEMBER, body={"reference": "R"}, sees=_CHAIN),
    ("POST", "/v1/keys/{key_id}/code"): Rule(ADMIN, frozenset({MSP}), sees=_CHAIN),
    ("GET", "/v1/keys/{key_id}/timeline"): Rule(sees=_CHAIN),
    ("GET", "/v1/sites"): Rule(),
    ("GET", "/v1/sites/{site_id}"): Rule(sees=_CHAIN),
    ("GET", "/v1/sites/{site_id}/changes"): Rule(sees=_CHAIN),
    ("GET", "/v1/sites/{site_id}/days"): Rule(query="?first=2026-03-01&last=2026-03-02", sees=_CHAIN),
    ("GET", "/v1/sites/{site_id}/commands"): Rule(sees=_CHAIN),
    ("POST", "/v1/sites/{site_id}/commands"): Rule(
        MEMBER, frozenset({MSP}), {"kind": "send_inventory"}, good=201, sees=_CHAIN
    ),
    ("DELETE", "/v1/sites/{site_id}/commands/{command_id}"): Rule(MEMBER, frozenset({MSP}), good=404, sees=_CHAIN),
    ("GET", "/v1/sites/{site_id}/agents"): Rule(sees=_CHAIN),
    ("GET", "/v1/sites/{site_id}/inventory"): Rule(sees=_CHAIN),
    ("DELETE", "/v1/sites/{site_id}/inventory"): Rule(ADMIN, frozenset({MSP}), good=204, sees=_CHAIN),
    ("GET", "/v1/sites/{site_id}/last-payload"): Rule(sees=_CHAIN),
    ("GET", "/v1/backups/troubles"): Rule(),
    ("GET", "/v1/sites/{site_id}/backups"): Rule(sees=_CHAIN),
    ("GET", "/v1/sites/{site_id}/hints"): Rule(sees=_CHAIN),
    ("GET", "/v1/sites/{site_id}/flags"): Rule(sees=_CHAIN),
    ("POST", "/v1/sites/{site_id}/flags/{flag}/dismissal"): Rule(
        MEMBER, body={"reason": "one was switched off"}, good=404, sees=_CHAIN
    ),
    ("GET", "/v1/refused-activations"): Rule(),
    ("POST", "/v1/sites/{site_id}/refused-activations/{refusal_id}/allow"): Rule(
        MEMBER, frozenset({MSP}), good=404, sees=_CHAIN
    ),
    ("DELETE", "/v1/sites/{site_id}/refused-activations/{refusal_id}"): Rule(
        MEMBER, frozenset({MSP}), good=404, sees=_CHAIN
    ),
    ("GET", "/v1/reports/provisional"): Rule(kinds=frozenset({MSP})),
    ("GET", "/v1/reports"): Rule(),
    ("GET", "/v1/msps/{msp_id}/reports/provisional"): Rule(sees=_CHAIN),
    ("GET", "/v1/reports/{report_id}/amounts"): Rule(sees=_CHAIN),
    ("POST", "/v1/reports/{report_id}/lines/{site_id}/adjustments"): Rule(
        MEMBER, _ABOVE, _ADJUSTMENT, good=201, sees=_CHAIN
    ),
    ("POST", "/v1/reports/{report_id}/lines/{site_id}/late-usage"): Rule(
        MEMBER, frozenset({DISTRIBUTOR}), {"reason": "agreed"}, good=409, sees=_CHAIN
    ),
    ("GET", "/v1/sites/{site_id}/exclusions"): Rule(sees=_CHAIN),
    ("POST", "/v1/sites/{site_id}/excuses"): Rule(MEMBER, _ABOVE, _VOID, good=201, sees=_CHAIN),
    ("POST", "/v1/sites/{site_id}/excuses/{excuse_id}/withdrawal"): Rule(
        MEMBER, _ABOVE, {"reason": "no trial"}, good=201, again=409, sees=_CHAIN
    ),
    ("GET", "/v1/voids"): Rule(),
    ("POST", "/v1/voids/{void_id}/decision"): Rule(
        MEMBER, frozenset({DISTRIBUTOR}), _DECISION, good=201, again=409, sees=_CHAIN
    ),
    ("GET", "/v1/disputes"): Rule(),
    ("POST", "/v1/disputes/{dispute_id}/decision"): Rule(MEMBER, _ABOVE, _DECISION, good=201, again=409, sees=_CHAIN),
    ("GET", "/v1/billing-terms"): Rule(kinds=frozenset({DISTRIBUTOR})),
    ("PUT", "/v1/billing-terms"): Rule(MEMBER, frozenset({DISTRIBUTOR}), _TERMS),
    ("GET", "/v1/price-lists"): Rule(kinds=_ABOVE),
    ("POST", "/v1/price-lists"): Rule(MEMBER, frozenset({DISTRIBUTOR}), _PRICES, good=201),
    ("GET", "/v1/statements"): Rule(kinds=_ABOVE),
    ("GET", "/v1/statements/{statement_id}"): Rule(kinds=_ABOVE, sees=_CHAIN),
    ("GET", "/v1/statements/{statement_id}/{form}"): Rule(kinds=_ABOVE, sees=_CHAIN),
    ("POST", "/v1/statements/{statement_id}/invoices"): Rule(
        MEMBER, frozenset({DISTRIBUTOR}), _INVOICE, good=201, sees=_CHAIN
    ),
    ("POST", "/v1/statements/{statement_id}/price-corrections"): Rule(
        MEMBER, frozenset({DISTRIBUTOR}), _CORRECTION, good=201, sees=_CHAIN
    ),
    ("GET", "/v1/reports/{report_id}/{form}"): Rule(sees=_CHAIN),
    ("GET", "/v1/reports/{report_id}/lines/{site_id}/evidence"): Rule(sees=_CHAIN),
    ("POST", "/v1/reports/{report_id}/lines/{site_id}/dispute"): Rule(
        MEMBER, frozenset({MSP}), _DISPUTE, good=201, again=409, sees=_CHAIN
    ),
    ("POST", "/v1/sites/{site_id}/voids"): Rule(MEMBER, frozenset({MSP}), _VOID, good=201, sees=_CHAIN),
    ("POST", "/v1/keys/{key_id}/suspend"): Rule(MEMBER, frozenset({MSP}), {"reason": "unpaid"}, sees=_CHAIN),
    ("POST", "/v1/keys/{key_id}/resume"): Rule(MEMBER, frozenset({MSP}), sees=_CHAIN),
    ("POST", "/v1/keys/{key_id}/revoke"): Rule(ADMIN, frozenset({MSP}), {"reason": "over"}, sees=_CHAIN),
    ("POST", "/v1/keys/{key_id}/release"): Rule(MEMBER, frozenset({MSP}), sees=_CHAIN),
    ("POST", "/v1/keys/{key_id}/rotate"): Rule(ADMIN, frozenset({MSP}), {"replaces": "00000"}, good=409, sees=_CHAIN),
    ("POST", "/v1/keys/{key_id}/snooze"): Rule(MEMBER, frozenset({MSP}), {"until": None}, sees=_CHAIN),
    ("GET", "/v1/keys/{key_id}/policy"): Rule(sees=_CHAIN),
    ("PUT", "/v1/keys/{key_id}/policy"): Rule(MEMBER, body={"standalone_seats": 9}, sees=_CHAIN),
    ("GET", "/v1/msps/{msp_id}/policy"): Rule(sees=_CHAIN),
    ("PUT", "/v1/msps/{msp_id}/policy"): Rule(MEMBER, body={"warn_after_seconds": 7200}, sees=_CHAIN),
    ("GET", "/v1/distributors/{distributor_id}/policy"): Rule(sees=_CHAIN),
    ("PUT", "/v1/distributors/{distributor_id}/policy"): Rule(
        MEMBER, _ABOVE, {"disable_after_seconds": 864_000}, sees=_CHAIN
    ),
    ("GET", "/v1/policies/programme"): Rule(),
    ("PUT", "/v1/policies/programme"): Rule(ADMIN, frozenset({VENDOR}), {"heartbeat_seconds": 1200}),
    ("GET", "/v1/policies/bounds"): Rule(),
    ("PUT", "/v1/policies/bounds"): Rule(ADMIN, frozenset({VENDOR}), _BOUNDS),
    ("POST", "/v1/policies/dry-run"): Rule(body={"level": "programme", "values": {"disable_after_seconds": 604_800}}),
    ("GET", "/v1/keys/{key_id}/standalones"): Rule(sees=_CHAIN),
    ("POST", "/v1/keys/{key_id}/standalones/{installation_id}/end"): Rule(
        MEMBER, frozenset({MSP}), good=404, sees=_CHAIN
    ),
    ("POST", "/v1/keys/{key_id}/standalones/{installation_id}/reject"): Rule(
        MEMBER, frozenset({MSP}), good=404, sees=_CHAIN
    ),
    ("POST", "/v1/keys/{key_id}/move"): Rule(ADMIN, frozenset({MSP}), {"to_msp": "{other_msp}"}, sees=_CHAIN),
    ("DELETE", "/v1/keys/{key_id}/move"): Rule(MEMBER, frozenset({MSP}), good=204, sees=_CHAIN),
    ("GET", "/v1/moves"): Rule(kinds=frozenset({MSP})),
    ("POST", "/v1/moves/{move_id}/accept"): Rule(ADMIN, frozenset({MSP}), good=404, foreign=False, sees=_CHAIN),
    ("GET", "/v1/registrations"): Rule(kinds=frozenset({VENDOR})),
    ("GET", "/v1/registrations/{registration_id}"): Rule(kinds=frozenset({VENDOR}), foreign=False, sees=_CHAIN),
    ("POST", "/v1/registrations/{registration_id}/approval"): Rule(
        MEMBER, frozenset({VENDOR}), _APPROVAL, good=201, foreign=False, sees=_CHAIN
    ),
    ("POST", "/v1/registrations/{registration_id}/rejection"): Rule(
        MEMBER, frozenset({VENDOR}), {"reason": "no"}, good=201, foreign=False, sees=_CHAIN
    ),
    ("POST", "/v1/documents"): Rule(
        ADMIN,
        frozenset({VENDOR}),
        {"kind": "programme", "version": "2026-02", "text_it": "Testo.", "text_en": "Text."},
        good=201,
    ),
    ("GET", "/v1/distributors"): Rule(),
    ("POST", "/v1/distributors"): Rule(
        ADMIN, frozenset({VENDOR}), {"name": "New", "zone": "Europe/Paris", "territory": ["FR"]}, good=201
    ),
    ("GET", "/v1/distributors/{distributor_id}"): Rule(sees=_CHAIN),
    ("PATCH", "/v1/distributors/{distributor_id}"): Rule(
        MEMBER, frozenset({VENDOR, DISTRIBUTOR}), {"address": "Via Roma 1"}, sees=_CHAIN
    ),
    ("PUT", "/v1/distributors/{distributor_id}/zone"): Rule(
        ADMIN, frozenset({VENDOR}), {"zone": "Europe/Paris"}, sees=_CHAIN
    ),
    ("POST", "/v1/distributors/{distributor_id}/closing"): Rule(
        ADMIN, frozenset({VENDOR}), {"to": "{other}", "reason": "gone"}, good=201, sees=_CHAIN
    ),
    ("GET", "/v1/msps"): Rule(),
    ("GET", "/v1/msps/{msp_id}"): Rule(sees=_CHAIN),
    ("PATCH", "/v1/msps/{msp_id}"): Rule(MEMBER, body={"address": "Via Roma 1"}, sees=_CHAIN),
    ("POST", "/v1/msps/{msp_id}/closing"): Rule(ADMIN, frozenset({VENDOR}), {"reason": "gone"}, good=201, sees=_CHAIN),
    ("POST", "/v1/msps/{msp_id}/suspend"): Rule(MEMBER, _ABOVE, {"reason": "unpaid"}, sees=_CHAIN),
    ("POST", "/v1/msps/{msp_id}/resume"): Rule(MEMBER, _ABOVE, sees=_CHAIN),
    ("POST", "/v1/msps/{msp_id}/move"): Rule(
        ADMIN, frozenset({VENDOR}), {"distributor_id": "{other}"}, good=201, sees=_CHAIN
    ),
    ("POST", "/v1/msps/{msp_id}/admin-replacements"): Rule(
        ADMIN, frozenset({VENDOR}), {"email": "n@example.org", "reason": "lost"}, good=201, sees=_CHAIN
    ),
    ("GET", "/v1/msps/{msp_id}/admin-replacements"): Rule(sees=_CHAIN),
    ("DELETE", "/v1/msps/{msp_id}/admin-replacements/{replacement_id}"): Rule(
        ADMIN, frozenset({VENDOR}), good=204, sees=_CHAIN
    ),
    ("GET", "/v1/users"): Rule(),
    ("GET", "/v1/users/{user_id}"): Rule(),
    ("PATCH", "/v1/users/{user_id}"): Rule(ADMIN, body=_USER),
    ("DELETE", "/v1/users/{user_id}"): Rule(ADMIN, good=204),
    ("DELETE", "/v1/users/{user_id}/totp"): Rule(ADMIN, good=204),
    ("GET", "/v1/invitations"): Rule(),
    ("POST", "/v1/invitations"): Rule(ADMIN, body={"email": "new@example.org", "role": "viewer"}, good=201),
    ("DELETE", "/v1/invitations/{invitation_id}"): Rule(ADMIN, good=204),
    ("GET", "/v1/tokens"): Rule(),
    ("POST", "/v1/tokens"): Rule(ADMIN, body={"name": "p", "scopes": ["keys:read"]}, good=201),
    ("DELETE", "/v1/tokens/{token_id}"): Rule(ADMIN, good=204),
    ("POST", "/v1/tokens/{token_id}/rotation"): Rule(ADMIN, body={}, good=201),
    ("GET", "/v1/webhook-endpoints"): Rule(),
    ("POST", "/v1/webhook-endpoints"): Rule(ADMIN, body={"url": "https://example.org/hook"}, good=201),
    ("GET", "/v1/webhook-endpoints/{endpoint_id}"): Rule(),
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): Rule(ADMIN, body={"description": "d"}),
    ("DELETE", "/v1/webhook-endpoints/{endpoint_id}"): Rule(ADMIN, good=204),
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/rotation"): Rule(ADMIN, good=201),
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/test"): Rule(ADMIN, good=202),
    ("GET", "/v1/webhook-endpoints/{endpoint_id}/deliveries"): Rule(),
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/replay"): Rule(ADMIN, good=202),
    ("GET", "/v1/audit-log"): Rule(),
    ("GET", "/v1/events"): Rule(),
    ("GET", "/v1/letters"): Rule(),
    ("GET", "/v1/undeliverable-letters"): Rule(),
}


@dataclass
class Chain:
    """A distributor with an MSP, and the ids of what each partner has."""

    ids: dict[str, str] = field(default_factory=dict)
    of: dict[PartnerKind, dict[str, str]] = field(default_factory=dict)


def routes(app: FastAPI) -> set[tuple[str, str]]:
    """Those of the API; the console's pages have tests of their own in tests/console."""
    return {
        (method, route.path)
        for route in _all_routes(app.routes)
        if not isinstance(route, PageRoute)
        for method in route.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }


def _all_routes(given: Any) -> list[APIRoute]:
    found: list[APIRoute] = []
    for route in given:
        if isinstance(route, APIRoute):
            found.append(route)
        elif getattr(route, "original_router", None) is not None:
            found += _all_routes(route.original_router.routes)
        elif getattr(route, "routes", None):
            found += _all_routes(route.routes)
    return found


def test_every_route_has_a_rule(app: FastAPI) -> None:
    assert routes(app) == OPEN | ONESELF | set(RULES)


def test_nothing_that_a_request_needs_is_sent_to_a_thread(app: FastAPI) -> None:
    """FastAPI does that with every function that is not `async`: twice the time of a request, and more when busy."""
    made = _all_routes(app.routes)
    called = {call for route in made for call in (route.endpoint, *_needed(route.dependant))}
    assert len(called) > len(made)
    assert {call.__qualname__ for call in called if not _is_async(call)} == set()


def _needed(dependant: Dependant) -> Iterator[Any]:
    for one in dependant.dependencies:
        yield one.call
        yield from _needed(one)


def _is_async(call: Any) -> bool:
    return any(iscoroutinefunction(one) or isasyncgenfunction(one) for one in (call, type(call).__call__))


async def test_without_a_credential_nothing_is_answered(client: httpx.AsyncClient) -> None:
    said = {
        (method, path): (await client.request(method, filled(path, {}), json={})).status_code
        for method, path in set(RULES) | ONESELF
    }
    assert {rule: status for rule, status in said.items() if status != 401} == {}


@pytest.mark.parametrize("rule", sorted(RULES), ids=lambda rule: f"{rule[0]} {rule[1]}")
async def test_each_role_may_do_what_the_table_says_with_its_own_a_stranger_s_and_nothing(
    client: httpx.AsyncClient, world: World, rule: tuple[str, str]
) -> None:
    method, path = rule
    table = RULES[rule]
    objects: tuple[Object, ...] = ("own", "foreign", "absent") if "{" in path else ("own",)
    ours, theirs = await build_chain(world, "ours"), await build_chain(world, "theirs")
    for caller in CALLERS:
        headers = await headers_of(world, ours, caller)
        for wanted in objects:
            if wanted == "foreign" and (not table.foreign or (caller[0] is VENDOR and table.sees)):
                continue
            chain = theirs if wanted == "foreign" else await fresh(world, ours, caller[0], rule)
            url = filled(path, {} if wanted == "absent" else chain_ids(chain, caller[0], table)) + table.query
            answer = await client.request(method, url, json=body_of(table, ours, theirs), headers=headers)
            expected = _expected(table, caller, wanted)
            assert answer.status_code in expected, (caller, wanted, answer.status_code, answer.text)


def _expected(table: Rule, caller: Caller, wanted: Object) -> tuple[int, ...]:
    kind, role = caller
    if list(Role).index(role) < list(Role).index(table.least) or kind not in table.kinds:
        # A partner that may never do this is told so or finds nothing: neither says whether there is such a thing.
        return (403, 404) if kind not in table.kinds else (403,)
    return (table.good, table.again or table.good) if wanted == "own" else (404,)


def chain_ids(chain: Chain, kind: PartnerKind, table: Rule) -> dict[str, str]:
    return {**chain.of[kind], **chain.ids} if table.sees else {**chain.ids, **chain.of[kind]}


def body_of(table: Rule, ours: Chain, theirs: Chain) -> Any:
    if table.body is None:
        return None
    known = {
        "{other}": theirs.ids["distributor_id"],
        "{other_msp}": theirs.ids["msp_id"],
        "{own_msp}": ours.ids["msp_id"],
        "{fresh}": secrets.token_hex(4),
    }
    return {name: known.get(value, value) if isinstance(value, str) else value for name, value in table.body.items()}


def filled(path: str, known: Mapping[str, str]) -> str:
    for name in ("key", "site", "report", "registration", "distributor", "msp", "replacement", "user", "invitation"):
        path = path.replace("{" + f"{name}_id" + "}", known.get(f"{name}_id", f"{name}_{_ABSENT}"))
    for name in (
        "token",
        "endpoint",
        "delivery",
        "session",
        "command",
        "refusal",
        "statement",
        "void",
        "dispute",
        "excuse",
    ):
        path = path.replace("{" + f"{name}_id" + "}", known.get(f"{name}_id", f"{name}_{_ABSENT}"))
    path = path.replace("{installation_id}", "00000000-0000-4000-8000-000000000000")
    path = path.replace("{flag}", "clone_suspected")
    return path.replace("{form}", "json").replace("{move_id}", known.get("move_id", f"move_{_ABSENT}"))


async def build_chain(world: World, name: str) -> Chain:
    """Build a distributor with an MSP and one of everything."""
    chain = Chain()
    ours = name == "ours"
    distributor = world.distributor if ours else await world.another_distributor(f"distributor {name}")
    msp = world.msp if ours else await world.another_msp(f"msp {name}", distributor)
    machine = await world.running((1, 0, 0), f"site {name}", msp)
    key = await world.key_of(machine)
    chain.ids = {
        "distributor_id": ids.show("distributor", distributor.id),
        "msp_id": ids.show("msp", msp.id),
        "key_id": ids.show("key", key.id),
        "site_id": ids.show("site", machine.site_id),
        "report_id": ids.show("report", await _issued_report(world, key, distributor.id)),
    }
    chain.ids |= await _claims(world, chain, distributor.id, msp.id, machine.site_id)
    for kind, partner_id in ((MSP, msp.id), (DISTRIBUTOR, distributor.id), (VENDOR, partners.VENDOR_ID)):
        chain.of[kind] = {"partner": str(partner_id)}
    return chain


async def fresh(world: World, chain: Chain, kind: PartnerKind, rule: tuple[str, str]) -> Chain:
    """What one role has changed must not be in the way of the next: objects of its own for each."""
    partner_id = UUID(chain.of[kind]["partner"])
    now = world.clock()
    if "registration" in rule[1]:
        chain.ids["registration_id"] = await _registration(world)
    if rule[1] == "/v1/distributors/{distributor_id}/closing":
        closing = await world.another_distributor(f"distributor {ids.new_id(now)}")
        return Chain({**chain.ids, "distributor_id": ids.show("distributor", closing.id)}, chain.of)
    if "closing" in rule[1] or "/move" in rule[1]:
        chain.ids["msp_id"] = ids.show("msp", (await world.another_msp(f"msp {now} {ids.new_id(now)}")).id)
    if "replacement" in rule[1]:
        chain.ids["replacement_id"] = await _replacement(world, chain)
    if not any(part in rule[1] for part in ("users", "tokens", "invitations", "webhook")):
        return chain
    async with world.sessions.begin() as db:
        caller = partners.Principal(partner_id, partner_id, kind, frozenset(partners.Right), at=now)
        token = await partners.add_token(
            db, caller, name="p", scopes=[partners.Right.KEYS_READ], now=now, expires_at=None
        )
        endpoint = await delivery.add_endpoint(
            db,
            world.desk.vault,
            partner_id=partner_id,
            url="https://example.org/hook",
            description="",
            kinds=[],
            scheme="hmac",
            contact=None,
            language="it",
            now=now,
        )
        sent = await delivery.send_test(db, endpoint, now)
        invitation = await partners.invite_colleague(
            db, world.desk.vault, caller, email=f"i{ids.new_id(now)}@example.org", role=VIEWER, language="it", now=now
        )
        # Twenty endpoints are the most; those of earlier roles go.
        for old in (await delivery.endpoints_of(db, partner_id))[:-1]:
            await delivery.remove_endpoint(db, old, now)
    user = await person(world, kind, partner_id, VIEWER, email=f"u{ids.new_id(now)}@example.org")
    chain.of[kind] |= {
        "token_id": ids.show("token", token.token.id),
        "endpoint_id": ids.show("endpoint", endpoint.id),
        "delivery_id": ids.show("delivery", sent.id),
        "invitation_id": ids.show("invitation", invitation.id),
        "user_id": ids.show("user", user.id),
    }
    return chain


async def headers_of(world: World, chain: Chain, caller: Caller) -> Headers:
    kind, role = caller
    return await session_of(world, await person(world, kind, UUID(chain.of[kind]["partner"]), role))


async def _issued_report(world: World, key: Key, distributor_id: UUID) -> UUID:
    now = world.clock()
    report = Report(
        id=ids.new_id(now),
        distributor_id=distributor_id,
        starts_at=now,
        msp_id=key.msp_id,
        msp_name="",
        number="2026-00001",
        document=b"{}",
        document_sha256=b"\0" * 32,
        cover={},
        issued_at=now,
    )
    async with world.sessions.begin() as db:
        period = {
            "starts_at": now,
            "ends_at": now + timedelta(hours=1),
            "month": "2026-03",
            "zone": "UTC",
            "zone_data": "",
            "cut_off_at": now + timedelta(hours=1),
        }
        db.add(ClosedPeriod(distributor_id=distributor_id, **period))
        await db.flush()
        db.add(report)
        await db.flush()
        db.add(ReportFile(report_id=report.id, form="json", content=b"{}", sha256=b"\0" * 32))
        db.add(_report_line(key, report))
    return report.id


def _report_line(key: Key, report: Report) -> ReportLine:
    return ReportLine(
        site_id=key.site_id,
        distributor_id=report.distributor_id,
        starts_at=report.starts_at,
        msp_id=key.msp_id,
        key_id=key.id,
        name=key.name,
        key_masked=key.code_masked,
        state="active",
        activated_at=report.starts_at,
        covered_seconds=0,
        span_seconds=0,
        gaps=[],
        flags=[],
    )


async def _claims(world: World, chain: Chain, distributor_id: UUID, msp_id: UUID, site_id: UUID) -> dict[str, str]:
    """A statement, a void, a dispute and an excuse."""
    now = world.clock()
    report_id = ids.read("report", chain.ids["report_id"])
    assert report_id is not None
    shared = {"site_id": site_id, "reason": "r", "actor": "a"}
    stretch = {"from_at": now + timedelta(days=60), "until_at": now + timedelta(days=61)}
    of = {"distributor_id": distributor_id, "msp_id": msp_id}
    void = VoidRequest(id=ids.new_id(now), asked_at=now, **shared, **stretch, **of)
    counts = {"server": 1, "workstation": 0, "server_plus": 0}
    dispute = Dispute(id=ids.new_id(now), report_id=report_id, starts_at=now, opened_at=now, **counts, **shared, **of)
    excuse = Exclusion(
        id=ids.new_id(now), kind="excuse", from_at=now, until_at=now + timedelta(days=1), recorded_at=now, **shared
    )
    month = {"starts_at": now, "part": 1, "issued_at": now, "document": b"{}", "document_sha256": b"\0" * 32}
    statement = Statement(id=ids.new_id(now), distributor_id=distributor_id, **month)
    async with world.sessions.begin() as db:
        db.add_all([void, dispute, excuse, statement])
        await db.flush()
        db.add(StatementFile(statement_id=statement.id, form="json", content=b"{}", sha256=b"\0" * 32))
        line = {"position": 1, "msp_id": msp_id, "report_id": report_id, "starts_at": now, "origin": "report"}
        priced = {"type": "server", "quantity": 1, "unit_price": 2, "amount": 2, "currency": "EUR"}
        db.add(StatementLine(statement_id=statement.id, **line, **priced))
        db.add(BillingTerms(distributor_id=distributor_id, recorded_at=now, no_data="nothing", shows_amounts=True,
                            actor="a"))  # fmt: skip
    made = {"void": void.id, "dispute": dispute.id, "excuse": excuse.id, "statement": statement.id}
    return {f"{name}_id": ids.show(name, one) for name, one in made.items()}


async def _registration(world: World) -> str:
    now = world.clock()
    async with world.sessions.begin() as db:
        applicant = partners.Applicant(
            f"Company {ids.new_id(now)}", "IT", "IT00743110157", "C", "c@example.org", "it", "1", "1"
        )
        await partners.register(db, world.desk.vault, applicant, address=None, now=now)
        row = (await db.scalars(select(partners.Registration).order_by(partners.Registration.id.desc()))).first()
        assert row is not None
        row.verified_at = now
        (await db.get_one(partners.Distributor, world.distributor.id)).territory = ["IT"]
        # Each approval needs a name of its own.
        _APPROVAL["name"] = f"Approved {row.id}"
        return ids.show("registration", row.id)


async def _replacement(world: World, chain: Chain) -> str:
    msp_id = ids.read("msp", chain.ids["msp_id"])
    assert msp_id is not None
    now = world.clock()
    async with world.sessions.begin() as db:
        vendor = partners.Principal(partners.VENDOR_ID, partners.VENDOR_ID, VENDOR, frozenset(partners.Right))
        row = await partners.request_replacement(
            db, vendor, msp_id, email="n@example.org", language="it", reason="lost", now=now
        )
    return ids.show("replacement", row.id)
