"""The marketing calendar as a page: a month of whole weeks or one week, what is planned and what was done."""

import calendar as months
from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.campaigns import calendar
from dunning_pipeline.campaigns.declaration import usable_campaigns
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.remembered import remembered
from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.workspace import Workspace

SETTLED_SECONDS = 600  # days that are over: a send of unknown fate may still be said to have left on one
OPEN_SECONDS = 15
Count = Callable[[Workspace, datetime, datetime], list[calendar.Entry]]


@allowed("viewer")
def show_calendar(desk: Desk) -> Response:
    """A month of whole weeks, or one week, around ?day=."""
    now, today = desk.now, desk.today
    shown = _asked(desk.asked("day")) or today
    is_week = desk.asked("view") == "week"
    days = _week(shown) if is_week else _month(shown)
    rows, mistakes = entries(desk.workspace, first=days[0], last=days[-1], now=now)
    return desk.page(
        "calendar.html",
        days=days,
        by_day=_by_day(desk, rows, now),
        shown=shown,
        today=today,
        is_week=is_week,
        before=(days[0] - timedelta(days=7 if is_week else 1)).isoformat(),
        after=(days[-1] + timedelta(days=1)).isoformat(),
        mistakes=mistakes,
    )


def entries(
    ws: Workspace, *, first: date, last: date, now: datetime
) -> tuple[list[calendar.Entry], list[InvalidDeclaration]]:
    """The calendar's entries of some days, and what is wrong with the files of campaigns that are missing in it.

    Counts of messages are remembered.
    """
    campaigns, mistakes = usable_campaigns(ws)
    counted = _counter(now.astimezone(ws.company.zone))
    return calendar.entries(ws, campaigns.values(), first=first, last=last, now=now, counted=counted), mistakes


def _by_day(desk: Desk, rows: list[calendar.Entry], now: datetime) -> dict[date, list[calendar.Entry]]:
    """The entries by company day, with what the page says of each; a month has hundreds, so it is said here."""
    zone, text = desk.workspace.company.zone, desk.wording.text
    by_day: dict[date, list[calendar.Entry]] = {}
    for row in rows:
        local = row["at"].astimezone(zone)
        minute = local.isoformat(timespec="minutes")[:16]
        is_movable = row["kind"] == "campaign" and row["status"] == "planned" and row["at"] > now
        name = row["name"] if row["kind"] == "campaign" else text(row["name"])
        said = {"time": minute[11:], "local": minute, "instant": row["at"].isoformat() if is_movable else None}
        said |= {"name": name, "status": text(row["status"]), "is_movable": is_movable}
        by_day.setdefault(local.date(), []).append({**row, **said})
    return by_day


def _counter(now: datetime) -> calendar.MessageCounter:
    """Counts messages and remembers it: what left is counted day by day, a day that is over for longer."""

    def counted(ws: Workspace, start: datetime, end: datetime) -> list[calendar.Entry]:
        found = _remembered(calendar.waiting_messages, ws, start, end, seconds=OPEN_SECONDS)
        while start.date() <= now.date() and start < end:
            next_day = datetime.combine(start.date() + timedelta(days=1), time(), tzinfo=start.tzinfo)
            seconds = SETTLED_SECONDS if start.date() < now.date() else OPEN_SECONDS
            found = found + _remembered(calendar.sent_messages, ws, start, next_day, seconds=seconds)
            start = next_day
        return found

    return counted


def _remembered(count: Count, ws: Workspace, start: datetime, end: datetime, *, seconds: int) -> list[calendar.Entry]:
    return remembered((count, ws.ledger_url, start, end), lambda: count(ws, start, end), seconds=seconds)


def _asked(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _month(day: date) -> list[date]:
    return [d for week in months.Calendar().monthdatescalendar(day.year, day.month) for d in week]


def _week(day: date) -> list[date]:
    monday = day - timedelta(days=day.weekday())
    return [monday + timedelta(days=offset) for offset in range(7)]


routes = [Route("/calendar", show_calendar)]
