"""The console's own styles, script and icon. An address carries the content's hash, so browsers may keep it."""

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.route import PageRoute
from services.errors import Absent

router = APIRouter(route_class=PageRoute)
_FOLDER = Path(__file__).parent / "static"
_KEPT = "public, max-age=31536000, immutable"


@router.get("/static/{version}/{name}")
async def asset(version: str, name: str) -> Response:
    """Give an asset; one of an older version is answered with what there is now, and not kept."""
    found = _assets().get(name)
    if found is None:
        raise Absent
    content, present, media_type = found
    headers = {"Cache-Control": _KEPT if version == present else "no-cache", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=media_type, headers=headers)


def address(name: str) -> str:
    """Give where an asset is."""
    return f"/static/{_assets()[name][1]}/{name}"


@cache
def _assets() -> dict[str, tuple[bytes, str, str]]:
    found = {}
    for path in sorted(_FOLDER.iterdir()):
        content = path.read_bytes()
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        found[path.name] = (content, hashlib.sha256(content).hexdigest()[:12], media_type)
    return found
