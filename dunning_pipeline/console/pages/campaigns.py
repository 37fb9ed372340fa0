"""Campaigns and the marketing calendar: what is planned and done, run now, plan, pause."""

import calendar as months
from datetime import date, datetime, time, timedelta

from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.campaigns import calendar, steering
from dunning_pipeline.campaigns.declaration import find_campaign
from dunning_pipeline.campaigns.effect import report_of
from dunning_pipeline.campaigns.running import run_campaign
from dunning_pipeline.console import jobs
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.jobs import Job
from dunning_pipeline.console.remembered import remembered
from dunning_pipeline.console.scope import needs_all_accounts
from dunning_pipeline.errors import DunningError, InvalidInput
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.settings.workspace import Workspace

SETTLED = timedelta(days=2)  # nothing is recorded any more as sent on days before that


@allowed("viewer")
def list_campaigns(desk: Desk) -> Response:
    rows, error = [], None
    try:
        rows = steering.list_campaigns(desk.workspace, now=desk.now)
    except DunningError as mistake:  # a broken file is shown with its place, it does not take the page away
        error = mistake
    return desk.page("campaigns.html", rows=rows, error=error)


@allowed("viewer")
def show_campaign(desk: Desk) -> Response:
    name = desk.request.path_params["name"]
    campaign = find_campaign(desk.workspace, name)
    return desk.page(
        "campaign.html",
        campaign=campaign,
        schedule=steering.schedule_text(campaign),
        upcoming=steering.next_instants(desk.workspace, campaign, now=desk.now, count=5),
        report=report_of(desk.workspace, name),
    )


@allowed("approver")
def steer(desk: Desk) -> Response:
    needs_all_accounts(desk)
    name, action = desk.request.path_params["name"], desk.typed("action")
    find_campaign(desk.workspace, name)
    if action == "pause":
        steering.pause(desk.workspace, name, now=desk.now, actor=desk.user.login, reason=desk.typed("reason") or None)
    elif action == "resume":
        steering.resume(desk.workspace, name, now=desk.now, actor=desk.user.login)
    elif action == "plan":
        steering.plan_occurrence(desk.workspace, name, at=_instant(desk, "at"), now=desk.now, actor=desk.user.login)
    elif action in ("move", "cancel"):
        return _reschedule(desk, name, action)
    elif action == "run":
        job_id = jobs.enqueue(
            desk.engine, action="run_campaign", arguments={"campaign": name}, total=1, actor=desk.user.login
        )
        return desk.go(f"/jobs/{job_id}")
    else:
        raise InvalidInput(f"there is no action {action!r}")
    return desk.go(f"/campaigns/{name}", desk.wording.text("Done."))


@jobs.action("run_campaign")
def run_now(job: Job) -> str:
    job.progress(0, 1)
    report = run_campaign(job.workspace, job.arguments["campaign"], now=business_now(), actor=job.actor)
    job.progress(1, 1)
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    return f"{report.status}: audience {report.audience}, held out {report.held_out}; {counts}"


def _reschedule(desk: Desk, name: str, action: str) -> Response:
    """Move or cancel one planned occurrence, from the calendar's form; back to its month."""
    ws, at = desk.workspace, _instant(desk, "occurrence")
    if action == "move":
        to = _instant(desk, "to")
        steering.move_occurrence(ws, name, at=at, to=to, now=desk.now, actor=desk.user.login)
        return desk.go(f"/calendar?day={to.date().isoformat()}", desk.wording.text("Moved."))
    steering.cancel_occurrence(ws, name, at=at, now=desk.now, actor=desk.user.login)
    return desk.go(f"/calendar?day={at.date().isoformat()}", desk.wording.text("Cancelled."))


def _instant(desk: Desk, field: str) -> datetime:
    """A date and time of the form, in the company's zone where it names none."""
    try:
        instant = datetime.fromisoformat(desk.typed(field))
    except ValueError:
        raise InvalidInput(
            "this is no date and time", value=desk.typed(field), remedy="write it as 2025-11-14T09:00"
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=desk.workspace.company.zone)


@allowed("viewer")
def show_calendar(desk: Desk) -> Response:
    """A month of whole weeks, or one week, around ?day=."""
    try:
        day = date.fromisoformat(desk.asked("day")) if desk.asked("day") else desk.today
    except ValueError:
        day = desk.today
    is_week = desk.asked("view") == "week"
    days = (
        _week(day)
        if is_week
        else [d for week in months.Calendar().monthdatescalendar(day.year, day.month) for d in week]
    )
    rows, error = [], None
    try:
        rows = calendar.entries(
            desk.workspace, first=days[0], last=days[-1], now=desk.now, counted=_counter(desk.today)
        )
    except DunningError as mistake:
        error = mistake
    zone = desk.workspace.company.zone
    by_day: dict[date, list[calendar.Entry]] = {}
    for row in rows:
        local = row["at"].astimezone(zone)
        planned = row["kind"] == "campaign" and row["status"] == "planned" and row["at"] > desk.now
        entry = {**row, "time": local.strftime("%H:%M"), "is_movable": planned}
        entry |= {"instant": row["at"].isoformat(), "local": local.strftime("%Y-%m-%dT%H:%M")}
        by_day.setdefault(local.date(), []).append(entry)
    step = timedelta(days=7) if is_week else timedelta(days=31)
    return desk.page(
        "calendar.html",
        days=days,
        by_day=by_day,
        shown=day,
        is_week=is_week,
        before=(days[0] - timedelta(days=1)).isoformat() if not is_week else (day - step).isoformat(),
        after=(days[-1] + timedelta(days=1)).isoformat() if not is_week else (day + step).isoformat(),
        error=error,
    )


def _counter(today: date) -> calendar.MessageCounter:
    """Counts messages day by day: days that are over are remembered for long, the others for some seconds."""

    def counted(ws: Workspace, start: datetime, end: datetime) -> list[calendar.Entry]:
        zone, found = ws.company.zone, []
        settled = max(start, min(end, datetime.combine(today - SETTLED, time(), tzinfo=zone)))
        for offset in range((settled.date() - start.date()).days):
            day = start + timedelta(days=offset)
            found += _remembered(ws, day, day + timedelta(days=1), seconds=600)
        return found + (_remembered(ws, settled, end, seconds=15) if settled < end else [])

    return counted


def _remembered(ws: Workspace, start: datetime, end: datetime, *, seconds: int) -> list[calendar.Entry]:
    key = ("messages", ws.ledger_url, start, end)
    return remembered(key, lambda: list(calendar.messages(ws, start, end)), seconds=seconds)


def _week(day: date) -> list[date]:
    monday = day - timedelta(days=day.weekday())
    return [monday + timedelta(days=offset) for offset in range(7)]


routes = [
    Route("/campaigns", list_campaigns),
    Route("/campaigns/{name}", show_campaign, methods=["GET"]),
    Route("/campaigns/{name}", steer, methods=["POST"]),
    Route("/calendar", show_calendar),
]
