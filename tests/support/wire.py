"""A caller for load: one kept connection at a tenth of a real client's cost, and nothing hidden of what goes wrong."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_SECONDS_MAX = 30


class WireBroken(Exception):
    """The connection was refused or ended before the answer was whole: nobody knows what became of the request."""


class Wire:
    """Sends one request after another to one service, over a connection that is made anew when it breaks."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = str(address.hostname), int(address.port or 80)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Give status and body of the answer; raises `WireBroken`."""
        try:
            async with asyncio.timeout(_SECONDS_MAX):
                return await self._exchange(path, json.dumps(body).encode(), headers)
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise WireBroken(type(error).__name__) from error
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """Let the connection go."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        lines = {"Host": self._host, "Content-Type": "application/json", "Content-Length": len(body), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        said = json.loads(await reader.readexactly(length))
        if b"\r\nconnection: close\r\n" in answer:
            self.close()
        return int(answer.split(b" ", 2)[1]), said
