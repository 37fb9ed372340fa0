"""The calendar: what was sent, what is queued, what is planned; as rows for people and as .ics for their calendars."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, func, select, true, type_coerce

from dunning_pipeline.campaigns.declaration import Campaign
from dunning_pipeline.campaigns.occurrences import occurrence_name, planned
from dunning_pipeline.campaigns.running import paused_campaigns
from dunning_pipeline.campaigns.steering import claimed_text
from dunning_pipeline.delivery.judging.hours import is_closed_day
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.schema import campaign_occurrences, sends
from dunning_pipeline.settings.workspace import Workspace

Entry = dict[str, Any]
MessageCounter = Callable[[Workspace, datetime, datetime], Iterable[Entry]]
NOT_SENT = ("queued", "in_flight", "held", "superseded", "cancelled", "failed", "unknown")


def entries(
    ws: Workspace,
    campaigns: Iterable[Campaign],
    *,
    first: date,
    last: date,
    now: datetime,
    counted: MessageCounter | None = None,
) -> list[Entry]:
    """Rows {at, kind, name, status, messages, note} from `first` to `last` (company days), in order of time.

    Kinds: daily (the day's path), campaign, messages (sends of a day, channel and status), closed (no sends).
    `campaigns` are those whose plans are shown; `counted` stands in for `messages` where somebody remembers what it
    counted.
    """
    zone = ws.company.zone
    start = datetime.combine(first, time(), tzinfo=zone)
    end = datetime.combine(last + timedelta(days=1), time(), tzinfo=zone)
    found = [*_days(ws, first, last, now), *_campaigns(ws, campaigns, start, end, now)]
    found += (counted or messages)(ws, start, end)
    return sorted(found, key=lambda entry: (entry["at"], entry["kind"], entry["name"]))


def _days(ws: Workspace, first: date, last: date, now: datetime) -> Iterable[Entry]:
    company = ws.company
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        at = datetime.combine(day, time(company.send_hour), tzinfo=company.zone)
        closed = is_closed_day(day, company.holidays)
        if closed:
            yield _entry(at, "closed", closed, "planned" if at > now else "past", note="nothing leaves by itself")
        if at > now:
            yield _entry(at, "daily", "dunning run", "planned", note="ingest, build, decide, close, queue")


def _campaigns(
    ws: Workspace, campaigns: Iterable[Campaign], start: datetime, end: datetime, now: datetime
) -> Iterable[Entry]:
    c = campaign_occurrences.c
    with reading(open_ledger(ws)) as connection:
        rows = connection.execute(select(campaign_occurrences).where(c.planned_for >= start, c.planned_for < end)).all()
        paused = paused_campaigns(connection)
    known = set()
    for row in rows:
        known.add((row.campaign, row.occurrence))
        counts = row.counts or {}
        note = ", ".join(f"{count} {name}" for name, count in counts.items())
        yield _entry(row.planned_for, "campaign", row.campaign, row.status, messages=counts.get("queued"), note=note)
    for campaign in campaigns:
        for instant in planned(campaign, ws, after=max(start, now), until=end):
            if (campaign.campaign, occurrence_name(instant)) not in known:
                status = "paused" if campaign.campaign in paused else "planned"
                note = claimed_text(campaign) or campaign.description
                yield _entry(instant, "campaign", campaign.campaign, status, note=note)


def messages(ws: Workspace, start: datetime, end: datetime) -> list[Entry]:
    """What left and what waits from `start` to before `end`."""
    return [*sent_messages(ws, start, end), *waiting_messages(ws, start, end)]


def sent_messages(ws: Workspace, start: datetime, end: datetime) -> list[Entry]:
    """What left from `start` to before `end`, summed by company day, channel, campaign and status."""
    return _summed(ws, sends.c.sent_at, (sends.c.sent_at >= start, sends.c.sent_at < end))


def waiting_messages(ws: Workspace, start: datetime, end: datetime) -> list[Entry]:
    """What was due then and has not left, summed alike."""
    s = sends.c
    return _summed(
        ws, s.due_at, (s.status.in_(NOT_SENT), s.due_at >= start, s.due_at < end), counted=s.sent_at.is_(None)
    )


def _summed(
    ws: Workspace,
    when: ColumnElement[datetime],
    conditions: Sequence[ColumnElement[bool]],
    *,
    counted: ColumnElement[bool] = true(),
) -> list[Entry]:
    s = sends.c
    hour = func.substr(type_coerce(when, String), 1, 13)  # instants are text of fixed width
    by = (hour, s.channel, s.campaign, s.status)
    # `counted` is no condition of the query: SQLite would walk the index of everything that was never sent
    summed = (func.min(when).filter(counted).label("at"), func.count().filter(counted).label("messages"))
    with reading(open_ledger(ws)) as connection:
        query = select(*summed, *by[1:]).where(*conditions).group_by(*by)
        rows = [row for row in connection.execute(query) if row.messages]
    days: dict[tuple[Any, ...], tuple[datetime, int]] = {}
    for row in rows:
        at = row.at if isinstance(row.at, datetime) else datetime.fromisoformat(str(row.at))
        key = (at.astimezone(ws.company.zone).date(), row.channel, row.campaign or "", row.status)
        earlier, count = days.get(key, (at, 0))
        days[key] = (min(earlier, at), count + row.messages)
    return [
        _entry(at, "messages", channel, status, messages=count, note=campaign)
        for (_, channel, campaign, status), (at, count) in days.items()
    ]


def _entry(at: datetime, kind: str, name: str, status: str, *, messages: int | None = None, note: str = "") -> Entry:
    return {"at": at.astimezone(UTC), "kind": kind, "name": name, "status": status, "messages": messages, "note": note}


def as_ics(rows: Iterable[Entry], *, company: str, now: datetime) -> bytes:
    """An RFC 5545 calendar; the same entry keeps its UID, so a subscribed calendar updates and never doubles it."""
    from icalendar import Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", "-//dunning-pipeline//calendar//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("x-wr-calname", f"Dunning {company}")
    known: Counter[str] = Counter()
    for row in rows:
        event = Event()
        uid = _uid(row)
        known[uid] += 1  # two occurrences of one minute: both are shown, each under a name of its own
        event.add("uid", uid if known[uid] == 1 else f"{known[uid]}-{uid}")
        event.add("dtstamp", now.astimezone(UTC))
        event.add("dtstart", row["at"])
        event.add("duration", timedelta(minutes=30))
        event.add("summary", _summary(row))
        event.add("categories", [row["kind"]])
        event.add("status", {"cancelled": "CANCELLED", "planned": "TENTATIVE"}.get(row["status"], "CONFIRMED"))
        event.add("transp", "TRANSPARENT")
        if row["note"]:
            event.add("description", row["note"])
        calendar.add_component(event)
    return calendar.to_ical()


def _uid(row: Entry) -> str:
    import hashlib

    status = row["status"] if row["kind"] == "messages" else ""
    facts = f"{row['at']:%Y-%m-%dT%H:%MZ}|{row['kind']}|{row['name']}|{row['note'] if status else ''}|{status}"
    return hashlib.sha256(facts.encode()).hexdigest()[:32] + "@dunning-pipeline"


def _summary(row: Entry) -> str:
    if row["kind"] == "messages":
        return f"{row['messages']} {row['name']} {row['status']}" + (f" ({row['note']})" if row["note"] else "")
    return f"{row['name']} ({row['status']})"
