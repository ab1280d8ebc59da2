"""What the operator is told: one plain sentence that says what is the matter and what to do. Pure."""

from typing import Final

from site_manager.lease import Lease, LeaseRefused
from site_manager.outcome import (
    Activated,
    ActivationOutcome,
    Answered,
    Outcome,
    Refused,
    Repaired,
    Unreachable,
    Unwritable,
)

CLOCK_OFFSET_MAX_SECONDS: Final = 300.0

STATES: Final = {
    "active": "The key is active; nothing to do.",
    "issued": "The key has been issued but is not bound to a site yet; activate it here.",
    "disabled": "The key is disabled because the site was silent too long: no new agents and no new backups "
    "(restore works); keep the connection up and it is enabled again at the next heartbeat.",
    "suspended": "The key is suspended: no new agents, and backups go on only until the lease in hand ends "
    "(restore works); ask your service provider why and to resume it.",
    "revoked": "The key has been revoked for good: no new agents and no new backups (restore works); ask "
    "your service provider for a new code.",
}

REFUSALS: Final = {
    "key_malformed": "The key has a typing error; compare all 25 characters with the ones you were given.",
    "key_unknown": "The service does not know this key; compare it with the one you were given, or ask your "
    "service provider for the right one.",
    "version_unsupported": "This Site Manager is too old for a metered key; update it to version 7 or later.",
    "key_already_bound": "The key is in use by another Site Manager; ask your service provider to release "
    "it (new hardware) and activate again.",
    "credential_mismatch": "The service knows this installation by another credential, so its file was lost "
    "or replaced; ask your service provider to release the key and activate again.",
    "credential_invalid": "The service does not accept this installation's credential; ask your service "
    "provider to release the key, then activate it again here.",
    "seats_exhausted": "No seat is left on this key for another standalone installation; ask your service "
    "provider to raise the number of seats.",
    "key_suspended": "The key is suspended and cannot be activated now; ask your service provider to resume it.",
    "key_revoked": "The key has been revoked for good; ask your service provider for another one.",
    "msp_not_approved": "Your service provider has not been approved yet; ask them to complete their "
    "registration with the vendor.",
    "body_too_large": "One single entry is too large for the service; update this Site Manager, and report "
    "it to your service provider if that does not help.",
    "request_invalid": "The service does not understand this Site Manager's request; update it, and report "
    "it to your service provider if that does not help.",
    "deployed_mismatch": "The service counts other agents than this site and cannot be brought to agree; "
    "report it to your service provider.",
    "changes_missing": "The service asks for earlier changes but does not say from where; report it to your "
    "service provider.",
    "line_broken": "The service refuses this file's place in the conversation even after a resume, so the "
    "file is damaged or another installation's; ask your service provider to release the key, start "
    "with a new file and activate again.",
    "not_activated": "No key has been activated here yet; run: site-manager activate KEY --server URL",
    "other_key_held": "This file holds another key; use a file of its own for this one (--state FILE), or "
    "say --rotated if it is the new code of the same key.",
    "echo_withheld": "This file is a copy from before its first heartbeat and another copy of it is in use; "
    "delete it, ask your service provider to release the key, and activate again.",
}

REPAIRS: Final = {
    "line_broken": "This file is an older copy, or a copy of it is in use elsewhere; it goes on by itself. "
    "If two machines run on copies of one file, stop one of them.",
}

NO_NEWS: Final = {
    "unreachable": "The service cannot be reached; check the network, the proxy and the server's address. "
    "Nothing is lost: changes are kept and sent later.",
    "unavailable": "The service is not available at the moment; nothing to do. Changes are kept and sent later.",
    "too_early": "The service was asked too early and wants to be asked later; nothing to do.",
    "too_many_attempts": "Too many keys were tried from this address; wait a while and type the key carefully.",
    "strange_answer": "Something that is not the service answers at its address; check the proxy, the "
    "firewall and the server's address.",
}

LEASES: Final = {
    "malformed": "The lease cannot be read, so it does not count; report it to your service provider.",
    "algorithm": "The lease is signed in a way that is not allowed, so it does not count; somebody may be "
    "imitating the service: check the network and tell your service provider.",
    "key_unknown": "The lease is signed by a key that the service has not published, or its keys cannot be "
    "fetched; it does not count until they can.",
    "forged": "The lease's signature is not the service's, so it does not count; somebody may be imitating "
    "the service: check the network and tell your service provider.",
    "foreign": "The lease is another installation's, so it does not count; use one file for each installation.",
    "future": "The lease begins in the future, so it does not count yet; set this machine's clock right.",
    "expired": "The lease has ended: no new agents and no new backups (restore works) until the service can "
    "be reached again; if it can, set this machine's clock right.",
}


def explain(outcome: Outcome | ActivationOutcome) -> str:
    """The sentence for what came of a round, or of an activation."""
    match outcome:
        case Activated():
            return f"Activated. {_standing(outcome.state, outcome.lease)}"
        case Answered():
            return _explain_answer(outcome)
        case Unreachable(why=why):
            return NO_NEWS.get(why, NO_NEWS["unavailable"])
        case Repaired(code=code):
            return REPAIRS.get(code, "The service asked for another request; it is sent by itself.")
        case Refused():
            return explain_refusal(outcome)
        case Unwritable(detail=detail):
            return f"The state file cannot be written ({detail}); free disk space or correct its permissions."


def explain_refusal(refused: Refused) -> str:
    """The sentence for a plain no."""
    unknown = f"The service refuses ({refused.code}: {refused.detail}); report it to your service provider."
    return REFUSALS.get(refused.code, unknown)


def explain_lease(lease: Lease | LeaseRefused | None) -> str:
    """The sentence for the lease in hand."""
    match lease:
        case None:
            return "There is no lease yet; it comes with an answer of the service."
        case Lease(expires_at=end):
            return f"The lease holds until {end:%Y-%m-%d %H:%M} UTC."
        case LeaseRefused(reason=reason):
            return LEASES[reason]


def unusable(detail: str) -> str:
    """The sentence for a state file that cannot even be read."""
    return (
        f"The state file cannot be used ({detail}); free disk space, correct its permissions or put an older copy of "
        "it in its place, and if there is none ask your service provider to release the key and activate again."
    )


def _explain_answer(answered: Answered) -> str:
    if not answered.receipt_agrees:
        return (
            f"The service has recorded something else than this site sent (up to entry {answered.through}); "
            "report it to your service provider together with the output of verify-receipts."
        )
    if abs(answered.clock_offset_seconds) > CLOCK_OFFSET_MAX_SECONDS:
        minutes = round(abs(answered.clock_offset_seconds) / 60)
        way = "ahead of" if answered.clock_offset_seconds > 0 else "behind"
        return f"This machine's clock is {minutes:,} minutes {way} the service's; set it right."
    return _standing(answered.state, answered.lease)


def _standing(state: str, lease: Lease | LeaseRefused | None) -> str:
    return LEASES[lease.reason] if isinstance(lease, LeaseRefused) else STATES[state]
