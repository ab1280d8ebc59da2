"""Events as pages tell them: in a few words, with an icon and a tone. One that has no entry is not told on the page."""

from typing import NamedTuple

from license_api.console.language import N_


class Happening(NamedTuple):
    """How an event is told."""

    text: str
    icon: str
    tone: str


HAPPENINGS = {
    "site.disabled": Happening(N_("Disabled"), "stop", "bad"),
    "site.final_warning": Happening(N_("Final warning sent"), "alert", "bad"),
    "site.warned": Happening(N_("Warned: silent"), "mute", "warn"),
    "site.back": Happening(N_("Back again"), "check", "good"),
    "site.clone_suspected": Happening(N_("Clone suspected"), "twins", "bad"),
    "seat.taken": Happening(N_("New standalone"), "plus", "quiet"),
    "activation.refused": Happening(N_("Activation refused"), "stop", "warn"),
    "key.issued": Happening(N_("Key created"), "key", "quiet"),
    "command.ended": Happening(N_("Command answered"), "check", "quiet"),
    "report.issued": Happening(N_("Report issued"), "letter", "quiet"),
    "report.held": Happening(N_("Report held"), "pause", "warn"),
    "statement.ready": Happening(N_("Statement ready"), "letter", "quiet"),
    "dispute.opened": Happening(N_("Dispute opened"), "alert", "warn"),
    "dispute.decided": Happening(N_("Dispute decided"), "check", "quiet"),
    "letter.undeliverable": Happening(N_("Letter undeliverable"), "letter", "warn"),
    "registration.verified": Happening(N_("Registration to decide"), "info", "quiet"),
}
