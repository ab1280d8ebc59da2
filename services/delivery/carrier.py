"""The carrier: posts webhooks to addresses on the internet and nowhere else.

A name is resolved once, every address that it gives is looked at, and the connection goes to the very address that was
looked at: a name that leads elsewhere a moment later leads nowhere. Redirects are not followed.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from services.delivery.telling import Parcel

_TIMEOUT_SECONDS = 15.0
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Gives the addresses of a name."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the other end said; `failure` is None if it took the delivery."""

    status: int | None
    failure: str | None


class Forbidden(Exception):
    """The name leads to an address that is not on the internet."""


async def resolve(host: str, port: int) -> list[str]:
    """Ask the machine's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Carrier:
    """Carries parcels; `private` lets them go to private addresses too, for development."""

    def __init__(self, *, private: bool = False, resolver: Resolve = resolve) -> None:
        """Make the HTTP client, which lives until `close`."""
        self._private = private
        self._resolve = resolver
        self._http = httpx.AsyncClient(follow_redirects=False, timeout=_TIMEOUT_SECONDS, trust_env=False)

    async def close(self) -> None:
        """End the client."""
        await self._http.aclose()

    async def carry(self, parcel: Parcel) -> Outcome:
        """Post one parcel; whatever happens is an outcome."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                status = await self._post(parcel)
        except Forbidden as error:
            return Outcome(None, str(error))
        except TimeoutError:
            return Outcome(None, "no answer in time")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            return Outcome(None, f"{type(error).__name__}: {error}"[:300])
        return Outcome(status, None if 200 <= status < 300 else f"answered {status}")

    async def _post(self, parcel: Parcel) -> int:
        url = httpx.URL(parcel.url)
        port = url.port or (443 if url.scheme == "https" else 80)
        pinned = url.copy_with(host=await self._address(url.host, port))
        request = self._http.build_request(
            "POST",
            pinned,
            content=parcel.body.encode(),
            headers={**parcel.headers, "host": url.netloc.decode()},
            extensions={"sni_hostname": url.host},
        )
        answer = await self._http.send(request, stream=True)
        await answer.aclose()  # only the status counts; a body could be endless
        return answer.status_code

    async def _address(self, host: str, port: int) -> str:
        addresses = await self._resolve(host, port)
        if not addresses:
            raise Forbidden("the name has no address")
        if not self._private and not all(map(is_public, addresses)):
            raise Forbidden("the address is not on the internet")
        return addresses[0]


def is_public(text: str) -> bool:
    """Tell whether an address is on the internet; IPv4 addresses hidden in IPv6 ones are looked at too."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast
