"""Who is in the sample: MSPs, their customers, and what becomes of each customer's site."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from site_manager import Counts


class Fate(StrEnum):
    """What becomes of a site."""

    ONLINE = "online"
    NEVER = "never connected"
    LATE = "late"
    SILENT = "silent"
    SNOOZED = "silent, warnings snoozed"
    FINAL = "silent, about to be disabled"
    HELD = "held by the breaker with many others"
    DISABLED = "disabled"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    CLONE = "runs twice"
    WANTED = "another machine wants its key"
    STANDALONE = "has a standalone Server Plus too"


# How long before the present a site was heard last.
DARK = {
    Fate.LATE: timedelta(minutes=50),
    Fate.SILENT: timedelta(days=3, hours=2),
    Fate.SNOOZED: timedelta(days=5),
    Fate.FINAL: timedelta(days=12, hours=14),
    Fate.HELD: timedelta(days=14, minutes=20),
    Fate.DISABLED: timedelta(days=20),
    Fate.REVOKED: timedelta(days=31),
}


class Company(NamedTuple):
    """An MSP."""

    name: str
    distributor: str
    email: str
    language: str = "it"


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of an MSP; `backups` are ok, warning, failed, overdue."""

    msp: str
    name: str
    agents: Counts
    fate: Fate = Fate.ONLINE
    reference: str | None = None
    backups: tuple[int, int, int, int] | None = None

    @property
    def host(self) -> str:
        """The name of its machine."""
        return self.name.lower().replace(" ", "-").replace("'", "")


ITALY, SPAIN = "Tidemark Italia", "Iberia Backup"
ADRIATICA, LARIO, VESUVIO, GARDA = "Adriatica Sistemi", "Lario Informatica", "Vesuvio Backup", "Garda Cloud"
SIERRA = "Sierra Sistemas"
COMPANIES = (
    Company(ADRIATICA, ITALY, "tecnici@adriatica.example"),
    Company(LARIO, ITALY, "assistenza@lario.example"),
    Company(VESUVIO, ITALY, "noc@vesuvio.example"),
    Company(GARDA, ITALY, "tecnico@garda-cloud.example"),
    Company(SIERRA, SPAIN, "soporte@sierra.example", "en"),
)
# Letters to this address are refused.
GONE = "tecnico@garda-cloud.example"


def customers() -> Iterator[Customer]:
    """Give all of them."""
    yield from _CUSTOMERS
    for number in range(1, 13):
        yield Customer(VESUVIO, f"Agenzia {number:02}", Counts(1, 4 + number, 0), Fate.HELD)


_CUSTOMERS = (
    Customer(ADRIATICA, "Officine Ferri", Counts(6, 42, 1), Fate.WANTED, "C-1004", (44, 3, 2, 0)),
    Customer(ADRIATICA, "Studio Bassi", Counts(2, 18, 0), reference="C-1011", backups=(20, 0, 0, 0)),
    Customer(ADRIATICA, "Cantina Montorso", Counts(3, 9, 1), Fate.FINAL, "C-1012"),
    Customer(ADRIATICA, "Hotel Adria", Counts(3, 25, 0), Fate.SILENT, "C-1015", (24, 1, 0, 3)),
    Customer(ADRIATICA, "Cantiere Foscari", Counts(4, 31, 2), Fate.LATE, backups=(35, 2, 0, 0)),
    Customer(ADRIATICA, "Farmacia Moro", Counts(1, 7, 0), Fate.DISABLED, "C-1022"),
    Customer(ADRIATICA, "Tipografia Gatti", Counts(2, 14, 0), Fate.CLONE, "C-1023", (15, 0, 0, 0)),
    Customer(ADRIATICA, "Liceo Barbarigo", Counts(5, 88, 0), Fate.STANDALONE, "C-1030", (86, 4, 1, 2)),
    Customer(ADRIATICA, "Trattoria al Molo", Counts(1, 2, 0), Fate.SNOOZED),
    Customer(ADRIATICA, "Vetreria Murano", Counts(2, 11, 0), Fate.SUSPENDED),
    Customer(ADRIATICA, "Panificio Zen", Counts(1, 3, 0), Fate.REVOKED),
    Customer(ADRIATICA, "Notaio Bellini", Counts(0, 0, 0), Fate.NEVER, "C-1041"),
    Customer(LARIO, "Tessitura Crespi", Counts(9, 77, 2), backups=(81, 5, 0, 0)),
    Customer(LARIO, "Comune di Valfiorita", Counts(4, 35, 0), backups=(36, 0, 1, 0)),
    Customer(LARIO, "Filanda Rota", Counts(2, 12, 1)),
    Customer(VESUVIO, "Clinica San Rocco", Counts(12, 64, 3), backups=(70, 6, 0, 0)),
    Customer(VESUVIO, "Pastificio Amato", Counts(5, 21, 1), backups=(25, 1, 0, 0)),
    Customer(GARDA, "Marina di Lazise", Counts(2, 9, 0)),
    Customer(GARDA, "Campeggio Ulivi", Counts(1, 4, 0)),
    Customer(SIERRA, "Bodega Olmedo", Counts(3, 16, 0), backups=(18, 1, 0, 0)),
    Customer(SIERRA, "Hospital Segovia", Counts(14, 120, 4), backups=(130, 3, 2, 0)),
)
