"""RFC 9457 problems, as tests read them."""

from typing import Any

import httpx

from license_api.problems import MEDIA_TYPE


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a whole problem with a status and a code, and give it."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE), answer.text
    said: dict[str, Any] = answer.json()
    assert said["code"] == code, said
    assert (said["status"], said["type"]) == (status, f"urn:tidemark:problem:{code}")
    assert said["title"]
    assert said["detail"]
    assert said["request_id"] == answer.headers["x-request-id"]
    return said


def pointers(answer: httpx.Response) -> list[str]:
    """The fields that a problem names."""
    return [error["pointer"] for error in answer.json()["errors"]]
