"""The letters about reports and statements, and the files that go with them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery, ids
from services.partners import Distributor, Msp
from services.reports.billing_tables import Statement, StatementFile
from services.reports.tables import ClosedPeriod, Report, ReportFile
from services.reports.wording import Language, language_of, month_name, whole

File = tuple[str, str, bytes]
"""name, media type, content"""


async def tell_issued(db: AsyncSession, report: Report, closed: ClosedPeriod, document: Mapping[str, Any]) -> None:
    """Post the letters and events of an issued report: to the MSP's billing contact and to the distributor."""
    msp = await db.get_one(Msp, report.msp_id)
    distributor = await db.get_one(Distributor, report.distributor_id)
    at = closed.cut_off_at
    readers = [
        (msp.id, msp.billing_email or msp.technical_email, language_of(msp.language)),
        (distributor.id, distributor.email, language_of(distributor.language)),
    ]
    for partner_id, address, language in readers:
        if address:
            await delivery.post(
                db,
                occasion=f"report_issued:{report.id}",
                kind="report_issued",
                recipient=address,
                language=language,
                values=_about(report, document, language),
                now=at,
                partner_id=partner_id,
            )
        subject = {"report": ids.show("report", report.id), "number": report.number, "month": closed.month}
        delivery.emit(db, partner_id=partner_id, kind="report.issued", subject=subject, now=at)


async def tell_stated(db: AsyncSession, statement: Statement, document: Mapping[str, Any]) -> None:
    """Post the letter and the event of a statement that is ready to be invoiced from."""
    distributor = await db.get_one(Distributor, statement.distributor_id)
    language, at = language_of(distributor.language), statement.issued_at
    if distributor.email:
        values = {
            "statement": document["statement"],
            "statement_id": ids.show("statement", statement.id),
            "month": month_name(document["period"]["month"], language),
            "msps": len(document["msps"]),
            "totals": [f"{amount} {currency}" for currency, amount in document["totals"].items()],
            "held": [one["msp"] for one in document["held"]],
        }
        await delivery.post(
            db,
            occasion=f"statement_ready:{statement.id}",
            kind="statement_ready",
            recipient=distributor.email,
            language=language,
            values=values,
            now=at,
            partner_id=distributor.id,
        )
    subject = {"statement": ids.show("statement", statement.id), "name": document["statement"]}
    delivery.emit(db, partner_id=distributor.id, kind="statement.ready", subject=subject, now=at)


async def files_with(db: AsyncSession, kind: str, values: Mapping[str, Any], language: str) -> list[File]:
    """Give the files that go with a letter of this feature, in the reader's language; none for other kinds."""
    form = f"pdf.{language_of(language)}"
    content: bytes | None = None
    name = ""
    if kind == "report_issued" and (report_id := ids.read("report", values["report"])):
        name = f"report-{values['number']}.pdf"
        content = await _content(db, ReportFile.content, ReportFile.report_id == report_id, ReportFile.form == form)
    if kind == "statement_ready" and (statement_id := ids.read("statement", values["statement_id"])):
        name = f"statement-{values['statement'].replace('/', '-')}.pdf"
        own = StatementFile.statement_id == statement_id
        content = await _content(db, StatementFile.content, own, StatementFile.form == form)
    return [(name, "application/pdf", content)] if content is not None else []


async def _content(db: AsyncSession, column: Any, *conditions: Any) -> bytes | None:
    content: bytes | None = await db.scalar(select(column).where(*conditions))
    return content


def _about(report: Report, document: Mapping[str, Any], language: Language) -> dict[str, Any]:
    totals = document["totals"]
    return {
        "report": ids.show("report", report.id),
        "number": report.number,
        "msp": report.msp_name,
        "month": month_name(document["period"]["month"], language),
        "charged": whole(totals["charged"], language),
        "server": whole(totals["server"], language),
        "workstation": whole(totals["workstation"], language),
        "server_plus": whole(totals["server_plus"], language),
        "sites": whole(totals["sites"], language),
        "no_data": totals["no_data"],
        "corrections": len(document["corrections"]),
    }
