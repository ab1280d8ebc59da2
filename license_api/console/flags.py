"""What stands on a report, in plain words: its flags, who decided and why, the types of agents."""

from collections.abc import Iterable
from typing import NamedTuple

from license_api.console.language import N_
from license_api.console.states import State
from license_api.console.visit import Signed
from services import partners

TYPES = {
    "server": N_("Server"),
    "workstation": N_("Workstation"),
    "server_plus": N_("Server Plus"),
}
ORIGINS = {
    "report": N_("the report itself"),
    "late_usage": N_("data received after the close"),
    "estimate_replaced": N_("estimate replaced by data"),
    "excused": N_("excused"),
    "adjustment": N_("decided adjustment"),
    "price": N_("corrected price"),
}


class Flag(NamedTuple):
    """A flag of a line: how it is shown, and what it means for whoever pays."""

    shown: State
    meaning: str


FLAGS = {
    "new": Flag(
        State(N_("New in the month"), "plus", "quiet"),
        N_("The key was activated in this month. A peak is charged in full, however few days it stood."),
    ),
    "no_data": Flag(
        State(N_("No data"), "ring", "warn"),
        N_("Nothing is known of this site for the month. That is not zero: it may still be corrected when data comes."),
    ),
    "estimate": Flag(
        State(N_("Estimate"), "clock", "warn"),
        N_("Nothing is known of the month, so the last known figure is charged. Data that comes replaces it."),
    ),
    "moved": Flag(
        State(N_("Moved"), "out", "quiet"),
        N_("The site moved to another MSP in this month; each is charged for its own part."),
    ),
    "disabled": Flag(
        State(N_("Disabled"), "stop", "bad"),
        N_("The key was disabled for silence in this month. What stayed deployed is charged."),
    ),
    "suspended": Flag(
        State(N_("Suspended"), "pause", "warn"),
        N_("The key was suspended in this month. What stayed deployed is charged."),
    ),
    "revoked": Flag(
        State(N_("Revoked"), "cross", "bad"),
        N_("The key was revoked. It is charged until the site was told, at the latest until its lease ended."),
    ),
    "clone_suspected": Flag(
        State(N_("Clone suspected"), "twins", "bad"),
        N_("Two machines reported as one. Their figures are never added: the higher one counts."),
    ),
    "clock_suspect": Flag(
        State(N_("Clock suspect"), "clock", "warn"),
        N_("The site's clock did not agree with ours, so some instants were set by when the data arrived."),
    ),
    "implausible": Flag(
        State(N_("Implausible figures"), "alert", "warn"),
        N_("Other totals of the site say more than it reported. No figure changes by itself."),
    ),
    "excused": Flag(
        State(N_("Excused"), "check", "quiet"),
        N_("A stretch is shown and not charged, for the reason below."),
    ),
    "voided": Flag(
        State(N_("Peak voided"), "check", "quiet"),
        N_("A stretch that was reported by mistake is not charged; both figures are shown."),
    ),
    "short_period": Flag(
        State(N_("Period under a day"), "clock", "quiet"),
        N_("This piece between two time zones is shorter than a day: it is shown and not charged."),
    ),
}


def flag(code: str) -> Flag:
    """Give how a flag is shown; one that has no entry is shown by its own name."""
    return FLAGS.get(code, Flag(State(code, "info", "quiet"), ""))


async def people(visit: Signed, actors: Iterable[str | None]) -> dict[str | None, str]:
    """Give how those who decided are named: one's own people by name, others as another partner's."""
    every = {actor for actor in actors if actor}
    known = await partners.names_of_actors(visit.db, visit.principal, every)
    return {None: "–", **{actor: known.get(actor) or _stranger(actor) for actor in every}}


def _stranger(actor: str) -> str:
    return N_("another partner") if actor.startswith(("user_", "token_")) else actor
