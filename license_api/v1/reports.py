"""Reports of an MSP: the provisional one of this month, and those that were issued."""

import json
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response

from license_api.deps import Caller, Db, Now
from license_api.problems import described
from license_api.v1.fields import Instant, ReportIdText, Said, Sha256Hex
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import ids, reports
from services.errors import Absent, Invalid, Unauthenticated

router = APIRouter(tags=["reports"])


class ReportShown(Said):
    """An issued Deployed Agents Report."""

    id: ReportIdText
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
        **described(Unauthenticated),
    },
)
async def get_provisional(caller: Caller, db: Db, now: Now) -> Response:
    """The same form as the issued report, without a number."""
    document = await reports.provisional(db, caller, now)
    return Response(reports.write(document), media_type="application/json")


@router.get(
    "/v1/reports",
    operation_id="listReports",
    summary="The MSP's issued reports",
    responses=described(Invalid, Unauthenticated),
)
async def list_reports(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> ReportPage:
    """Oldest first."""
    rows = list(await reports.issued(db, caller, after=cursor("report", after), limit=limit))
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
        **described(Absent, Invalid, Unauthenticated),
    },
)
async def download(
    report_id: str,
    form: Annotated[Literal["json", "csv", "xlsx", "pdf", "pdf.it", "pdf.en"], Path()],
    caller: Caller,
    db: Db,
) -> Response:
    """Issued bytes never change. `pdf` is in the MSP's own language."""
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
        number=report.number,
        month=report.month,
        issued_at=report.issued_at,
        sha256=report.document_sha256.hex(),
    )
