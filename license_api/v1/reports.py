"""Reports of an MSP: the provisional one of this month, and those that were issued."""

import json
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.problems import described
from license_api.v1.fields import Instant, MspIdText, ReportIdText, Said, Sha256Hex
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import ids, reports
from services.errors import Absent, Invalid
from services.partners import Right, WrongPartner

router = APIRouter(tags=["reports"])


class ReportShown(Said):
    """An issued Deployed Agents Report."""

    id: ReportIdText
    msp_id: MspIdText
    msp: str
    number: str
    month: str
    issued_at: Instant
    sha256: Sha256Hex


class ReportPage(Said):
    """A page of reports."""

    items: list[ReportShown]


@router.get(
    "/v1/reports/provisional",
    operation_id="getProvisionalReport",
    summary="This month's report, as if it closed now",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object"}}}},
        **described(WrongPartner, *CALLER_REFUSALS),
    },
)
async def get_provisional(caller: Caller, db: Db, now: Now) -> Response:
    """The same form as the issued report, without a number."""
    caller.require(Right.REPORTS_READ)
    written = await reports.provisional(db, caller, caller.msp_id, now)
    return Response(written.document, media_type="application/json")


@router.get(
    "/v1/msps/{msp_id}/reports/provisional",
    operation_id="getProvisionalReportOfMsp",
    summary="An MSP's report of this month, as if it closed now",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object"}}}},
        **described(Absent, *CALLER_REFUSALS),
    },
)
async def get_provisional_of(msp_id: str, caller: Caller, db: Db, now: Now) -> Response:
    """For the MSP, the distributor that it has now, and the vendor."""
    caller.require(Right.REPORTS_READ)
    written = await reports.provisional(db, caller, named("msp", msp_id), now)
    return Response(written.document, media_type="application/json")


@router.get(
    "/v1/reports",
    operation_id="listReports",
    summary="Issued reports",
    responses=described(Absent, Invalid, *CALLER_REFUSALS),
)
async def list_reports(
    caller: Caller,
    db: Db,
    request: Request,
    response: Response,
    msp_id: Annotated[str | None, Query(max_length=64, description="Only those of this MSP.")] = None,
    month: Annotated[str | None, Query(pattern=r"^20[0-9]{2}-[01][0-9]$", description="Only those of a month.")] = None,
    limit: Limit = 50,
    after: After = None,
) -> ReportPage:
    """An MSP sees its own, a distributor those of its MSPs, the vendor all. In the order in which they were issued.

    One that was held and is issued late comes last, though it is dated at its period's cut-off: whoever reads on after
    the last one that it had misses none.
    """
    caller.require(Right.REPORTS_READ)
    of_msp = named("msp", msp_id) if msp_id else None
    rows = list(
        await reports.issued(db, caller, after=cursor("report", after), limit=limit, msp_id=of_msp, month=month)
    )
    link_next(request, response, rows, limit, lambda report: ids.show("report", report.report_id))
    return ReportPage(items=[_report(report) for report in rows])


@router.get(
    "/v1/reports/{report_id}/{form}",
    operation_id="downloadReport",
    summary="One form of an issued report: the very bytes",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/csv": {"schema": {"type": "string"}},
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {
                    "schema": {"type": "string", "format": "binary"}
                },
                "application/pdf": {"schema": {"type": "string", "format": "binary"}},
            }
        },
        **described(Absent, Invalid, *CALLER_REFUSALS),
    },
)
async def download(
    report_id: str,
    form: Annotated[Literal["json", "csv", "xlsx", "pdf", "pdf.it", "pdf.en"], Path()],
    caller: Caller,
    db: Db,
) -> Response:
    """Issued bytes never change. `pdf` is in the reader's own language."""
    caller.require(Right.REPORTS_READ)
    content = await reports.file_of(db, caller, named("report", report_id), form)
    return Response(content, media_type=reports.MEDIA_TYPES.get(form, "application/pdf"))


@router.get(
    "/v1/schemas/{schema}",
    operation_id="getSchema",
    summary="The JSON Schema of a document",
    response_class=Response,
    responses={200: {"content": {"application/schema+json": {"schema": {"type": "object"}}}}, **described(Invalid)},
    openapi_extra={"security": []},
)
async def get_schema(schema: Annotated[Literal["report-1", "statement-1"], Path()]) -> Response:
    """For everybody: a report's `schema` is `tidemark.report/1`, whose schema is `report-1`."""
    return Response(json.dumps(reports.SCHEMAS[schema], indent=2), media_type="application/schema+json")


def _report(report: reports.IssuedReport) -> ReportShown:
    return ReportShown(
        id=ids.show("report", report.report_id),
        msp_id=ids.show("msp", report.msp_id),
        msp=report.msp,
        number=report.number,
        month=report.month,
        issued_at=report.issued_at,
        sha256=report.document_sha256.hex(),
    )
