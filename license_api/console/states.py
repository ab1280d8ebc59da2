"""States as pages show them: a word, an icon, and a tone. Colour never says anything that these do not."""

from typing import NamedTuple

from license_api.console.language import N_


class State(NamedTuple):
    """How a state is shown; its tone is `good`, `warn`, `bad` or `quiet`."""

    text: str
    icon: str
    tone: str


STATES = {
    # Of a site.
    "never_connected": State(N_("Not yet connected"), "ring", "quiet"),
    "online": State(N_("Online"), "dot", "good"),
    "late": State(N_("Late"), "clock", "warn"),
    "silent": State(N_("Silent"), "mute", "warn"),
    "overdue": State(N_("Overdue"), "alert", "bad"),
    # Of a key.
    "issued": State(N_("Issued"), "ring", "quiet"),
    "active": State(N_("Active"), "check", "good"),
    "disabled": State(N_("Disabled"), "stop", "bad"),
    "suspended": State(N_("Suspended"), "pause", "warn"),
    "revoked": State(N_("Revoked"), "cross", "bad"),
    # Of an MSP.
    "msp_approved": State(N_("Approved"), "check", "good"),
    "msp_suspended": State(N_("Suspended"), "pause", "warn"),
    "msp_closed": State(N_("Closed"), "cross", "quiet"),
    # Of a site, beside its liveness.
    "clone_suspected": State(N_("Clone suspected"), "twins", "bad"),
    "implausible": State(N_("Implausible figures"), "alert", "warn"),
    "held": State(N_("Held by the breaker"), "pause", "warn"),
    "snoozed": State(N_("Snoozed"), "snooze", "quiet"),
    # Of a dispute.
    "dispute_open": State(N_("To be answered"), "clock", "warn"),
    "dispute_refused": State(N_("Refused, the vendor may decide"), "clock", "warn"),
    "dispute_upheld": State(N_("Upheld"), "check", "good"),
    "dispute_stands": State(N_("The figure stands"), "check", "quiet"),
    # Of a command.
    "command_waiting": State(N_("Waiting for the next heartbeat"), "clock", "quiet"),
    "command_sent": State(N_("Sent"), "out", "quiet"),
    "command_expired": State(N_("Expired"), "cross", "warn"),
    "command_done": State(N_("Done"), "check", "good"),
    "command_refused": State(N_("Refused by the site"), "stop", "warn"),
    "command_failed": State(N_("Failed at the site"), "alert", "bad"),
    "command_cancelled": State(N_("Cancelled"), "cross", "quiet"),
    # Of an agent's last backup.
    "backup_ok": State(N_("Well"), "check", "good"),
    "backup_warning": State(N_("With warnings"), "alert", "warn"),
    "backup_failed": State(N_("Failed"), "cross", "bad"),
    # Of a report that waits to be stated.
    "wait_report_held": State(N_("Report under review"), "pause", "warn"),
    "wait_price_missing": State(N_("Held: a price is missing"), "alert", "bad"),
    "wait_ready": State(N_("Draft, stated next"), "clock", "quiet"),
    # Of a void.
    "void_asked": State(N_("To be answered"), "clock", "warn"),
    "void_granted": State(N_("Granted"), "check", "good"),
    "void_refused": State(N_("Not granted"), "cross", "quiet"),
    "void_too_late": State(N_("Closed unanswered"), "cross", "quiet"),
}
# What timelines tell, and who did it where it was no person.
KEY_EVENTS = {
    "issued": N_("Key created"),
    "activated": N_("Activated by a Site Manager"),
    "disabled": N_("Disabled for silence"),
    "enabled": N_("Enabled again"),
    "suspended": N_("Suspended"),
    "resumed": N_("Resumed"),
    "msp_suspended": N_("Suspended with the MSP"),
    "msp_resumed": N_("Resumed with the MSP"),
    "revoked": N_("Revoked"),
    "rotated": N_("New code"),
    "released": N_("Binding released"),
    "activation_allowed": N_("Refused machine allowed"),
    "credential_changed": N_("Credential changed"),
    "move_offered": N_("Move offered"),
    "move_withdrawn": N_("Move withdrawn"),
    "move_accepted": N_("Move accepted"),
    "moved": N_("Moved to another MSP"),
    "policy_changed": N_("Policy changed"),
    "snoozed": N_("Warnings snoozed"),
    "unsnoozed": N_("Warnings sent again"),
    "seat_taken": N_("Standalone took a seat"),
    "seat_ended": N_("Standalone's seat ended"),
    "seat_rejected": N_("Standalone rejected"),
    "seat_silent": N_("Standalone's seat ended for silence"),
}
_ACTORS = {"site": N_("the site"), "sweep": N_("the sweep"), "move": N_("the move")}


def key_event(code: str) -> str:
    """Give what an event of a timeline says."""
    return KEY_EVENTS.get(code, code)


def key_actor(actor: str) -> str:
    """Give who did it, in words where it was no person."""
    return _ACTORS.get(actor, actor)


def state(code: str) -> State:
    """Give how a state is shown; one that has no entry is shown by its own name."""
    return STATES.get(code, State(code, "ring", "quiet"))
