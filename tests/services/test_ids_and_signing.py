"""Ids sort by time and are read strictly; what is sealed opens only where it belongs."""

import hmac
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from services import ids
from services.signing import SealBroken, SigningKey, Vault

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


def test_ids_are_version_7_and_sort_by_time() -> None:
    made = [ids.new_id(NOW + timedelta(milliseconds=step)) for step in range(50)]
    assert made == sorted(made)
    assert {one.version for one in made} == {7}


def test_ids_of_one_instant_sort_by_the_order_of_the_calls() -> None:
    made = [ids.new_id(NOW) for _ in range(10_000)]
    assert made == sorted(set(made))


def test_a_clock_that_is_set_back_makes_ids_of_its_time_again() -> None:
    ids.new_id(NOW + timedelta(days=1))
    back = ids.new_id(NOW)
    assert back < ids.new_id(NOW + timedelta(seconds=1))
    assert back.int >> 80 == int(NOW.timestamp() * 1000)


@given(value=st.uuids())
def test_a_shown_id_is_read_back(value: UUID) -> None:
    text = ids.show("key", value)
    assert ids.read("key", text) == value
    assert ids.read("site", text) is None


@pytest.mark.parametrize(
    "text", ["", "key", "key_", "key_" + "0" * 25, "key_" + "0" * 27, "key_8" + "0" * 25, "key_" + "u" * 26, "\0"]
)
def test_what_is_no_id_is_read_as_none(text: str) -> None:
    assert ids.read("key", text) is None


def test_a_sealed_secret_opens_only_in_the_row_it_was_sealed_for() -> None:
    vault = Vault("m" * 32)
    sealed = vault.seal(b"code", b"row 1")
    assert vault.open(sealed, b"row 1") == b"code"
    assert b"code" not in sealed
    for opener, context in ((vault, b"row 2"), (Vault("n" * 32), b"row 1")):
        with pytest.raises(SealBroken):
            opener.open(sealed, context)


def test_each_use_of_the_master_secret_has_a_key_of_its_own() -> None:
    vault = Vault("m" * 32)
    assert vault.finding_hash("text")[:16] != vault.mac(b"text")


def test_the_mac_is_hmac_sha_256() -> None:
    key = HKDF(SHA256(), 32, salt=None, info=b"tidemark/mac").derive(b"m" * 32)
    for message in (b"", b"text", b"x" * 1000):
        assert Vault("m" * 32).mac(message, 32) == hmac.digest(key, message, "sha256")


def test_a_short_master_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        Vault("m" * 31)


def test_a_signing_key_is_named_by_its_thumbprint_and_read_back() -> None:
    key = SigningKey.make()
    assert SigningKey.from_private(key.private_pem()).kid == key.kid


def test_ids_of_one_millisecond_come_in_the_order_in_which_they_were_made() -> None:
    made = [ids.new_id(NOW) for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
