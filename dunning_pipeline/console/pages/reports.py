"""Reports: each with a chart, a table, CSV, PDF, one self-contained HTML file, and mailed to a colleague."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import charts, jobs, published, report_files
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.jobs import Job
from dunning_pipeline.console.report_files import Sheet
from dunning_pipeline.console.scope import needs_all_accounts
from dunning_pipeline.console.wording import Wording
from dunning_pipeline.delivery.permission.contact_points import normal_email
from dunning_pipeline.delivery.providers.protocol import Attachment
from dunning_pipeline.reports.mailing import mail_report
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.settings.workspace import Workspace


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
    name, rows = _asked(desk)
    return desk.page("report.html", name=name, sheet=_sheet(desk.workspace, name, rows, desk.today, desk.wording))


@allowed("viewer")
def report_csv(desk: Desk) -> Response:
    name, rows = _asked(desk)
    return _download(report_files.csv_file(rows), "text/csv; charset=utf-8", f"{name}.csv")


@allowed("viewer")
def report_chart(desk: Desk) -> Response:
    name, rows = _asked(desk)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    svg = _svg(name, rows, desk.wording)
    return Response(svg, media_type="image/svg+xml", headers={"Content-Security-Policy": policy})


@allowed("viewer")
def report_file(desk: Desk) -> Response:
    name, rows = _asked(desk)
    text, _ = _files(desk.workspace, name, rows, desk.today, desk.wording)
    return _download(text, "text/html; charset=utf-8", f"{name}-{desk.today}.html")


@allowed("viewer")
def report_print(desk: Desk) -> Response:
    name, rows = _asked(desk)
    _, pdf = _files(desk.workspace, name, rows, desk.today, desk.wording)
    return _download(pdf, "application/pdf", f"{name}-{desk.today}.pdf")


@allowed("collector")
def report_mail(desk: Desk) -> Response:
    """Mail the report as HTML with the PDF beside it, in the background."""
    name, _ = _asked(desk)
    arguments = {
        "report": name,
        "to": normal_email(desk.typed("to")),
        "language": desk.wording.language,
        "day": desk.today.isoformat(),
    }
    job_id = jobs.enqueue(desk.engine, action="mail_report", arguments=arguments, total=1, actor=desk.user.login)
    return desk.go(f"/jobs/{job_id}")


@jobs.action("mail_report")
def mail_now(job: Job) -> str:
    given, ws = job.arguments, job.workspace
    name, wording, day = given["report"], Wording(given["language"]), date.fromisoformat(given["day"])
    job.progress(0, 1)
    rows = published.rows(ws, f"select * from {_report(name).model}")
    text, pdf = _files(ws, name, rows, day, wording)
    said = _sheet(ws, name, rows, day, wording)
    way = mail_report(
        ws,
        to=given["to"],
        subject=f"{said.title}, {said.day}",
        text=f"{said.title}\n{said.company} · {said.day} · {said.about}\n",
        html=text,
        files=[Attachment(f"{name}-{day}.pdf", "application/pdf", pdf)],
        now=business_now(),
    )
    job.progress(1, 1)
    return f"mailed to {given['to']} by {way}"


def _asked(desk: Desk) -> tuple[str, list[dict[str, Any]]]:
    """The report's name and rows; 404 for one that is not there, 403 for a user who sees only some accounts."""
    name = desk.request.path_params["name"]
    report = _report(name)
    needs_all_accounts(desk)
    return name, published.rows(desk.workspace, f"select * from {report.model}")


def _report(name: str) -> Report:
    if name not in REPORTS:
        raise HTTPException(404, "there is no such report")
    return REPORTS[name]


def _sheet(ws: Workspace, name: str, rows: list[dict[str, Any]], day: date, wording: Wording) -> Sheet:
    report = _report(name)
    return report_files.sheet(
        rows, title=report.title, about=report.about, company=ws.company.name, day=day, wording=wording
    )


def _svg(name: str, rows: list[dict[str, Any]], wording: Wording) -> str:
    return charts.draw(_report(name).chart, rows, wording.text, language=wording.language) if rows else ""


def _files(ws: Workspace, name: str, rows: list[dict[str, Any]], day: date, wording: Wording) -> tuple[str, bytes]:
    """The report as one HTML file and as PDF."""
    said, svg = _sheet(ws, name, rows, day, wording), _svg(name, rows, wording)
    text = report_files.html_file(said, svg=svg, wording=wording)
    return text, report_files.pdf_file(said, svg=svg, day=day, wording=wording)


def _download(content: str | bytes, media_type: str, file_name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return Response(content, media_type=media_type, headers=headers)


routes = [
    Route("/reports", list_reports),
    Route("/reports/{name}.csv", report_csv),
    Route("/reports/{name}.svg", report_chart),
    Route("/reports/{name}.html", report_file),
    Route("/reports/{name}.pdf", report_print),
    Route("/reports/{name}/mail", report_mail, methods=["POST"]),
    Route("/reports/{name}", show_report),
]
