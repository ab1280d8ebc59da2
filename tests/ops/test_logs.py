"""The logs hold no secret, whatever was handed to them."""

import json
from collections.abc import Iterator

import pytest
import structlog

from ops.logs import configure_logs

CODE = "AAGTB-5YSRY-KH430-EV5BT-DFPE0"
TOKEN = "tdm_Qb83i52D9U89soC3Q6Xj98dUWkc2eSIL15yCAIZUVM"
BEARER = f"site_01m860cwgnfc7avngtm647absx.123e4567-e89b-12d3-a456-426614174000.{'s' * 43}"


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("secret", [CODE, TOKEN, BEARER])
def test_a_secret_in_a_message_is_hidden(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    structlog.get_logger().info("asked", about=f"with {secret}")
    line = capsys.readouterr().err
    assert secret not in line
    assert json.loads(line)["about"] == "with [hidden]"


def test_a_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    password = "correct horse"
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    line = capsys.readouterr().err
    assert "broken" in line
    assert password not in line
