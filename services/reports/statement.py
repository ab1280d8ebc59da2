"""The distributor's statement as a document, ready to invoice from. Pure: the same facts give the same bytes.

It is no fiscal document and says so: VAT, e-invoices and payments are the distributor's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

import rfc8785

from services import ids
from services.reports.document import show_instant
from services.reports.pricing import ROUNDING, rounded, show_price
from services.usage import Three, zone_info

STATEMENT_SCHEMA_NAME = "tidemark.statement/1"
NOTICE = "documento non fiscale"


@dataclass(frozen=True, slots=True)
class StatedLine:
    """One priced quantity: of the period itself, or a signed line that names where it comes from."""

    origin: str
    month: str
    type: str | None
    quantity: int
    unit_price: Decimal | None
    amount: Decimal
    currency: str
    statement: str | None = None
    invoice: str | None = None
    invoiced_on: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Stated:
    """What is stated for one MSP, with what an invoice to it needs."""

    msp_id: UUID
    identity: Mapping[str, str | None]
    report: str | None
    lines: Sequence[StatedLine]


@dataclass(frozen=True, slots=True)
class Contested:
    """A line of an issued report that an MSP disputes: stated, and not to be invoiced before it is decided."""

    msp: str
    site: str
    month: str
    report: str
    charged: Three
    claimed: Three
    standing: str
    reason: str


@dataclass(frozen=True, slots=True)
class StatementHeading:
    """What stands above."""

    distributor: Mapping[str, str | None]
    language: str
    month: str
    zone: str
    starts_at: datetime
    ends_at: datetime
    part: int
    issued_at: datetime
    held: Sequence[tuple[str, str]] = field(default_factory=tuple)
    contested: Sequence[Contested] = field(default_factory=tuple)

    @property
    def name(self) -> str:
        """How a statement is called: its month, and its part after the first."""
        return statement_name(self.month, self.part)


def statement_name(month: str, part: int) -> str:
    """Name a statement: `2026-03`, and `2026-03/2` for what was held at first."""
    return month if part == 1 else f"{month}/{part}"


def compose_statement(heading: StatementHeading, stated: Sequence[Stated]) -> dict[str, Any]:
    """Make the document of a statement; MSPs and lines in the order given."""
    zone = zone_info(heading.zone)
    msps = [_msp(one) for one in stated]
    return {
        "schema": STATEMENT_SCHEMA_NAME,
        "notice": NOTICE,
        "statement": heading.name,
        "part": heading.part,
        "distributor": dict(heading.distributor),
        "language": heading.language,
        "period": {
            "month": heading.month,
            "zone": heading.zone,
            "starts_at": show_instant(heading.starts_at),
            "ends_at": show_instant(heading.ends_at),
            "starts_at_local": heading.starts_at.astimezone(zone).isoformat(),
            "ends_at_local": heading.ends_at.astimezone(zone).isoformat(),
        },
        "issued_at": show_instant(heading.issued_at),
        "rounding": ROUNDING,
        "msps": msps,
        "totals": _totals([line for one in stated for line in one.lines]),
        "held": [{"msp": msp, "reason": reason} for msp, reason in heading.held],
        "contested": [_contested(one) for one in heading.contested],
        "msps_sha256": sha256(rfc8785.dumps(msps)).hexdigest(),
    }


def _msp(one: Stated) -> dict[str, Any]:
    lines = [_line(line) for line in one.lines if line.quantity or line.amount]
    identity = dict(one.identity)
    missing = [name for name in ("legal_name", "address", "vat_number") if not identity[name]]
    if identity.get("country") in (None, "IT") and not (identity["sdi_code"] or identity["pec"]):
        missing.append("sdi_code")
    return {
        "msp_id": ids.show("msp", one.msp_id),
        **identity,
        "missing": missing,
        "report": one.report,
        "lines": lines,
        "totals": _totals(one.lines),
    }


def _line(line: StatedLine) -> dict[str, Any]:
    return {
        "origin": line.origin,
        "month": line.month,
        "type": line.type,
        "quantity": line.quantity,
        "unit_price": None if line.unit_price is None else show_price(line.unit_price),
        "amount": str(rounded(line.amount, line.currency)),
        "currency": line.currency,
        "statement": line.statement,
        "invoice": line.invoice,
        "invoiced_on": line.invoiced_on,
        "reason": line.reason,
    }


def _totals(lines: Sequence[StatedLine]) -> dict[str, str]:
    totals: dict[str, Decimal] = {}
    for line in lines:
        totals[line.currency] = totals.get(line.currency, Decimal(0)) + line.amount
    return {currency: str(rounded(total, currency)) for currency, total in sorted(totals.items())}


def _contested(one: Contested) -> dict[str, Any]:
    names = ("server", "workstation", "server_plus")
    return {
        "msp": one.msp,
        "site": one.site,
        "month": one.month,
        "report": one.report,
        "charged": dict(zip(names, one.charged, strict=True)),
        "claimed": dict(zip(names, one.claimed, strict=True)),
        "standing": one.standing,
        "reason": one.reason,
    }
