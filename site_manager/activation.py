"""Binding a key to this installation: what is asked, and what is kept of the answer."""

import hashlib
import json
import sqlite3

from site_manager import chain, requests
from site_manager.answers import Binding
from site_manager.spool import (
    Identity,
    read_bound,
    read_progress,
    write_binding_state,
    write_bound,
    write_first_echo,
    write_unverified,
)
from site_manager.wire import first_receipt, instant


def activation_body(
    identity: Identity,
    code: str,
    *,
    product: str,
    version: str,
    hostname: str,
    details: dict[str, str | None],
) -> bytes:
    """The request; `details` (name, timezone, console_url) are left out where they are None."""
    members = {
        "license_key": code,
        "installation_id": identity.installation_id,
        "credential_sha256": identity.credential_sha256(),
        "public_key": identity.public_key(),
        "product": product,
        "version": version,
        "hostname": hostname,
    }
    members |= {name: value for name, value in details.items() if value is not None}
    return json.dumps(members, ensure_ascii=False).encode()


def holds_other_key(db: sqlite3.Connection, code: str) -> bool:
    """Whether this file is bound by another code than this one."""
    bound = read_bound(db)
    return bound is not None and bound.key_sha256 != hashlib.sha256(code.encode()).digest()


def bind(db: sqlite3.Connection, binding: Binding, code: str, *, first: bool, now: str, next_at: str) -> str | None:
    """Keep the binding; the code of a refusal if this file cannot go on with it.

    `first`: the service has bound it just now (201).
    """
    bound, progress = read_bound(db), read_progress(db)
    if bound is not None and bound.site_id != binding.site_id and not first:
        return "other_key_held"
    if binding.echo is None and progress.echo is None:
        return "echo_withheld"
    server_time = instant(binding.server_time)
    anew = bound is None or first
    write_bound(db, binding, code, server_time if bound is None or first else bound.activated_at)
    if binding.echo is not None and binding.echo != progress.echo:
        _give_up_waiting(db, now)
        write_first_echo(db, binding.echo, binding.through)
    if anew:
        chain.begin_at_activation(db, server_time, first_receipt(binding.installation_id))
    if anew or binding.echo is not None:
        chain.agree(db, binding.through, binding.receipt, now)
    write_binding_state(db, binding.state, server_time, now, next_at)
    if binding.lease is not None:
        write_unverified(db, binding.lease)
    return None


def _give_up_waiting(db: sqlite3.Connection, now: str) -> None:
    waiting = requests.read_waiting(db)
    if waiting is not None:
        requests.thaw(db, waiting, "activated_anew", now)
