"""Who is at the other end: the address that the outermost trusted proxy saw, and nothing that a client made up."""

import ipaddress
from collections.abc import Sequence

from starlette.requests import HTTPConnection

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def read_networks(text: str) -> list[Network]:
    """Read `10.0.0.0/8,fd00::/8`; raises `ValueError`."""
    return [ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip()]


def client_address(connection: HTTPConnection, trusted: Sequence[Network]) -> str | None:
    """Give the client's address: read from the right, past the trusted proxies, the first that is none of them."""
    address = connection.client.host if connection.client else None
    if not trusted or address is None or not _within(address, trusted):
        return address
    said = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
    for one in reversed([part.strip() for part in said if part.strip()]):
        if not _is_address(one):
            return address
        address = one
        if not _within(one, trusted):
            break
    return address


def _within(address: str, networks: Sequence[Network]) -> bool:
    if not _is_address(address):
        return False
    given = ipaddress.ip_address(address)
    return any(given.version == network.version and given in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
