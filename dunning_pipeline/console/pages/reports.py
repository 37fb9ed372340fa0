"""Reports: each with a chart, a table, CSV, and one self-contained HTML file that can be mailed."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import charts, published
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.scope import needs_all_accounts


@dataclass(frozen=True)
class Report:
    title: str
    about: str
    model: str
    chart: Callable[..., Any]


REPORTS = {
    "ageing": Report("Ageing", "Open principal by age, per currency", "reports.ageing", charts.ageing),
    "recovery": Report(
        "Recovery by level",
        "Principal that was reminded, and how much was cleared after",
        "reports.recovery",
        charts.recovery,
    ),
    "campaign_effect": Report(
        "Campaign effect",
        "Members that paid within 14 days, beside those held out on purpose",
        "reports.campaign_effect",
        charts.bars("campaign", "paid_percent", "is_held_out"),
    ),
    "days_sales_outstanding": Report(
        "Days sales outstanding",
        "Open principal at each month end, in days of the sales before it",
        "reports.days_sales_outstanding",
        charts.lines("month_end", "days_sales_outstanding", "currency"),
    ),
    "deliverability": Report(
        "Deliverability",
        "What became of the messages of each month",
        "reports.deliverability",
        charts.parts("month", ["delivered", "bounced", "complained"]),
    ),
    "promises_kept": Report(
        "Promises kept",
        "Of what was promised for each month, how much was cleared by then",
        "reports.promises_kept",
        charts.parts("month", ["kept", "kept_late", "pending", "broken"]),
    ),
    "fee_yield": Report(
        "Yield of fees",
        "Fees, interest and lump sums charged, and what became of them",
        "reports.fee_yield",
        charts.bars("type", "charged", "currency"),
    ),
}


@allowed("viewer")
def list_reports(desk: Desk) -> Response:
    return desk.page("reports.html", reports=REPORTS)


@allowed("viewer")
def show_report(desk: Desk) -> Response:
    name = desk.request.path_params["name"]
    report = _report(name)
    rows = _rows(desk, report)
    return desk.page("report.html", name=name, report=report, rows=rows, columns=list(rows[0]) if rows else [])


@allowed("viewer")
def report_csv(desk: Desk) -> Response:
    name = desk.request.path_params["name"]
    rows = _rows(desk, _report(name))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["empty"], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({key: _safe_in_a_spreadsheet(value) for key, value in row.items()} for row in rows)
    return _download(text.getvalue(), "text/csv; charset=utf-8", f"{name}.csv")


@allowed("viewer")
def report_chart(desk: Desk) -> Response:
    name = desk.request.path_params["name"]
    svg = charts.draw(_report(name).chart, _rows(desk, _report(name)), desk.wording.text)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return Response(svg, media_type="image/svg+xml", headers={"Content-Security-Policy": policy})


@allowed("viewer")
def report_file(desk: Desk) -> Response:
    """One HTML file with the chart inside and no reference to anything: it can be mailed and opened anywhere."""
    name = desk.request.path_params["name"]
    report = _report(name)
    rows = _rows(desk, report)
    svg = charts.draw(report.chart, rows, desk.wording.text) if rows else ""
    page = desk.page("report_file.html", report=report, rows=rows, columns=list(rows[0]) if rows else [], svg=svg)
    return _download(bytes(page.body).decode(), "text/html; charset=utf-8", f"{name}-{desk.today}.html")


def _report(name: str) -> Report:
    if name not in REPORTS:
        raise HTTPException(404, "there is no such report")
    return REPORTS[name]


def _rows(desk: Desk, report: Report) -> list[dict[str, Any]]:
    needs_all_accounts(desk)
    return published.rows(desk.workspace, f"select * from {report.model}")


def _safe_in_a_spreadsheet(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _download(text: str, media_type: str, file_name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return Response(text, media_type=media_type, headers=headers)


routes = [
    Route("/reports", list_reports),
    Route("/reports/{name}.csv", report_csv),
    Route("/reports/{name}.svg", report_chart),
    Route("/reports/{name}.html", report_file),
    Route("/reports/{name}", show_report),
]
