"""The echo cannot be made, moved or altered by anybody but the service; the bearer is read strictly."""

import base64
import hashlib
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services import ids
from services.errors import Unauthenticated
from services.signing import Vault
from services.sites.bearer import read_bearer
from services.sites.echo import Echo, read_echo

VAULT = Vault("m" * 32)
SITE, INSTALLATION = UUID(int=1), UUID(int=2)
SECRET = "s" * 43
counters = st.integers(0, 2**64 - 1)


@given(line=st.integers(0, 2**16 - 1), sequence=counters, through=counters)
def test_an_echo_is_read_back_as_it_was_sealed(line: int, sequence: int, through: int) -> None:
    echo = Echo(line, sequence, through)
    text = echo.seal(VAULT, SITE, INSTALLATION)
    assert read_echo(text, VAULT, SITE, INSTALLATION) == echo
    assert len(text) <= 200
    assert "=" not in text


def test_an_echo_of_another_site_installation_or_service_is_not_genuine() -> None:
    text = Echo(0, 4, 9).seal(VAULT, SITE, INSTALLATION)
    assert read_echo(text, VAULT, UUID(int=3), INSTALLATION) is None
    assert read_echo(text, VAULT, SITE, UUID(int=3)) is None
    assert read_echo(text, Vault("n" * 32), SITE, INSTALLATION) is None


def test_an_echo_with_any_bit_turned_is_not_genuine() -> None:
    text = Echo(0, 4, 9).seal(VAULT, SITE, INSTALLATION)
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    for bit in range(8 * len(raw)):
        turned = (int.from_bytes(raw) ^ (1 << bit)).to_bytes(len(raw))
        text = base64.urlsafe_b64encode(turned).rstrip(b"=").decode()
        assert read_echo(text, VAULT, SITE, INSTALLATION) is None


@given(text=st.text(max_size=200))
def test_no_text_breaks_the_reading_of_an_echo(text: str) -> None:
    assert read_echo(text, VAULT, SITE, INSTALLATION) is None


def test_a_bearer_gives_the_ids_and_only_the_hash_of_the_secret() -> None:
    bearer = read_bearer(f"{ids.show('site', SITE)}.{INSTALLATION}.{SECRET}")
    assert (bearer.site_id, bearer.installation_id) == (SITE, INSTALLATION)
    assert bearer.credential_sha256 == hashlib.sha256(SECRET.encode()).digest()
    assert SECRET not in repr(bearer)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b.c",
        f"{ids.show('key', SITE)}.{INSTALLATION}.{SECRET}",
        f"{ids.show('site', SITE)}.{INSTALLATION}.{SECRET[1:]}",
        f"{ids.show('site', SITE)}.{INSTALLATION}.{SECRET}x",
        f"{ids.show('site', SITE)}.{INSTALLATION}.{SECRET[1:]}é",
        f"{ids.show('site', SITE)}.{uuid4().hex}.{SECRET}",
        f"{ids.show('site', SITE)}.{str(uuid4()).upper()}.{SECRET}",
        f"{ids.show('site', SITE)}.not-a-uuid.{SECRET}",
        f"{ids.show('site', SITE)}.{INSTALLATION}",
        f"{ids.show('site', SITE).upper()}.{INSTALLATION}.{SECRET}",
        "tdm_" + "x" * 43,
    ],
)
def test_what_cannot_be_a_bearer_is_no_credential(text: str) -> None:
    with pytest.raises(Unauthenticated):
        read_bearer(text)
