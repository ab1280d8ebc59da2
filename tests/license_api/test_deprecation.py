"""What will go is announced: a deprecated operation says since when, until when, and where to read on."""

from datetime import UTC, datetime

import httpx
from fastapi import Depends, FastAPI

from license_api.deprecation import deprecated


async def test_a_deprecated_operation_says_so_in_its_headers_and_in_the_contract() -> None:
    app = FastAPI()
    going = deprecated(datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 7, 1, tzinfo=UTC), "https://example.org/going")

    @app.get("/old", deprecated=True, dependencies=[Depends(going)])
    async def old() -> None: ...

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tidemark.test") as client:
        headers = (await client.get("/old")).headers
    assert headers["Deprecation"] == "@1798761600"
    assert headers["Sunset"] == "Thu, 01 Jul 2027 00:00:00 GMT"
    assert headers["Link"] == '<https://example.org/going>; rel="deprecation"; type="text/html"'
    assert app.openapi()["paths"]["/old"]["get"]["deprecated"]
