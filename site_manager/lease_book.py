"""The lease in hand, and the service's public keys that prove it."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import httpx

from site_manager.lease import KeyRing, Lease, LeaseRefused, check_lease, read_key_ring
from site_manager.spool import (
    Bound,
    Identity,
    Leases,
    Spool,
    read_bound,
    read_identity,
    read_leases,
    read_progress,
    write_leases,
)
from site_manager.wire import read_instant

JWKS_PATH = "/.well-known/jwks.json"
JWKS_MAX = 262_144


class LeaseBook:
    """Keeps a lease from the answer that brought it until it can be checked, and then while it holds."""

    def __init__(self, spool: Spool, http: httpx.AsyncClient, clock: Callable[[], datetime]) -> None:
        self._spool = spool
        self._http = http
        self._clock = clock
        self._ring: tuple[str | None, KeyRing] = (None, {})

    async def review(self) -> Lease | LeaseRefused | None:
        """Check the lease that came last: it replaces the one in hand, or is refused. None if none waits.

        Without a key to check it by (the document of keys cannot be fetched now) it waits for the next round.
        """
        leases = read_leases(self._spool.db)
        if leases.unverified is None:
            return None
        verdict = self._check(leases.unverified, leases.jwks)
        if verdict == LeaseRefused("key_unknown"):
            jwks = await self._fetch()
            if jwks is None:
                return verdict
            leases = replace(leases, jwks=jwks)
            verdict = self._check(leases.unverified, jwks)
        self._keep(leases, verdict)
        return verdict

    def in_hand(self) -> Lease | LeaseRefused | None:
        """The lease in hand as it is worth now; None if there never was one."""
        leases = read_leases(self._spool.db)
        return None if leases.token is None else self._check(leases.token, leases.jwks)

    def _keep(self, leases: Leases, verdict: Lease | LeaseRefused) -> None:
        token = leases.unverified if isinstance(verdict, Lease) else leases.token
        try:
            with self._spool.transaction(durable=False) as db:
                write_leases(db, Leases(token, None, leases.jwks))
        except sqlite3.OperationalError:
            return  # it stays unverified on disk and is reviewed again

    def _check(self, token: str | None, jwks: str | None) -> Lease | LeaseRefused:
        identity, bound = read_identity(self._spool.db), read_bound(self._spool.db)
        if token is None or identity is None or bound is None:
            return LeaseRefused("foreign")
        return self._check_for(token, jwks, identity, bound)

    def _check_for(self, token: str, jwks: str | None, identity: Identity, bound: Bound) -> Lease | LeaseRefused:
        return check_lease(
            token,
            self._keys(jwks),
            installation_id=identity.installation_id,
            key_id=bound.key_id,
            now=self._now(),
        )

    def _now(self) -> datetime:
        # A clock set back neither prolongs a lease nor makes a genuine one look like one of the future.
        heard = read_progress(self._spool.db).server_time
        return self._clock() if heard is None else max(self._clock(), read_instant(heard))

    def _keys(self, jwks: str | None) -> KeyRing:
        if self._ring[0] != jwks:
            self._ring = (jwks, read_key_ring(jwks or ""))
        return self._ring[1]

    async def _fetch(self) -> str | None:
        try:
            response = await self._http.get(JWKS_PATH)
        except httpx.HTTPError:
            return None
        usable = response.status_code == 200 and len(response.content) <= JWKS_MAX
        return response.text if usable and read_key_ring(response.text) else None
