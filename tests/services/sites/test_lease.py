"""The lease: when it is renewed, how long it lasts, and what it says to whoever checks it offline."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OKPKey

from services import ids
from services.signing import SigningKey
from services.sites.lease import LeaseSigner, LeaseTerms, expires_at, renew_after

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
DAY = 86_400
TERMS = LeaseTerms(
    installation_id=UUID(int=7),
    key_id=UUID(int=9),
    state="active",
    through=98,
    receipt=bytes(range(32)),
    heartbeat_seconds=900,
    disable_after_seconds=14 * DAY,
)


@pytest.mark.parametrize(
    ("heartbeat", "disable", "seconds"), [(900, 14 * DAY, DAY), (3600, DAY, 6171), (900, 900, 900)]
)
def test_a_lease_is_renewed_after_a_fourteenth_of_the_silence_allowed_or_an_interval(
    heartbeat: int, disable: int, seconds: int
) -> None:
    assert renew_after(heartbeat, disable) == timedelta(seconds=seconds)


@given(heartbeat=st.integers(1, DAY), disable=st.integers(1, 90 * DAY), last=st.integers(0, 90 * DAY))
def test_a_lease_never_ends_before_the_date_of_disabling_and_at_most_2_s_after_it(
    heartbeat: int, disable: int, last: int
) -> None:
    spare = renew_after(heartbeat, disable)
    # The last answered heartbeat that did not renew came within S of the lease's issue.
    contact = NOW + min(timedelta(seconds=last), spare)
    disabled = contact + timedelta(seconds=disable)
    assert disabled <= expires_at(NOW, heartbeat, disable) <= disabled + 2 * spare


def test_a_lease_says_what_it_grants_and_that_restore_never_stops() -> None:
    key = SigningKey.make()
    token = LeaseSigner("https://licence.test", key).sign(TERMS, NOW)
    public = OKPKey.import_key(key.public_jwk())
    opened = jws.deserialize_compact(token, public, algorithms=["Ed25519"])
    assert opened.headers() == {"alg": "Ed25519", "kid": key.kid, "typ": "JWT"}
    assert json.loads(opened.payload) == {
        "iss": "https://licence.test",
        "sub": str(UUID(int=7)),
        "key": ids.show("key", UUID(int=9)),
        "state": "active",
        "types": ["server", "workstation", "server_plus"],
        "restore": "always",
        "through": 98,
        "receipt": bytes(range(32)).hex(),
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 16 * DAY,
    }


def test_a_public_key_holds_no_private_part() -> None:
    assert "d" not in SigningKey.make().public_jwk()
