"""When a campaign is to run: its planned instants from cron line or date, and which of them are due and not done."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from dunning_pipeline.campaigns.declaration import Campaign
from dunning_pipeline.ledger.schema import campaign_occurrences
from dunning_pipeline.settings.workspace import Workspace

# A schedule that was missed (nothing ran) is caught up within this time; what is older is recorded as cancelled, as
# far back as one looks: a monthly one's last time included.
CATCH_UP = timedelta(days=3)
LOOK_BACK = timedelta(days=35)
_FIXED_HOURS = re.compile(r"\S+ [\d,]+ ")  # cron lines that name their hours; an hourly one runs in both


def occurrence_name(planned_for: datetime) -> str:
    """The name of a planned occurrence: its instant in UTC, so that every caller names it alike."""
    return planned_for.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def planned(campaign: Campaign, ws: Workspace, *, after: datetime, until: datetime) -> Iterator[datetime]:
    """The instants in (after, until], ascending; none for a campaign on demand."""
    from croniter import croniter

    if campaign.schedule is None:
        return
    zone = campaign.zone(ws)
    if campaign.schedule.at is not None:
        at = campaign.schedule.at if campaign.schedule.at.tzinfo else campaign.schedule.at.replace(tzinfo=zone)
        if after < at <= until:
            yield at
        return
    cron = campaign.schedule.cron or ""
    ticks = croniter(cron, after.astimezone(zone))
    while (tick := ticks.get_next(datetime)) <= until:
        if not (_comes_again(tick, zone) and _FIXED_HOURS.match(cron)):
            yield tick


def _comes_again(instant: datetime, zone: ZoneInfo) -> bool:
    """The first of the two instants that the clocks show alike when they go back; a named hour means the second."""
    local = instant.astimezone(UTC).astimezone(zone)
    return local.fold == 0 and local.replace(fold=1).utcoffset() != local.utcoffset()


def due(
    connection: Connection, campaign: Campaign, ws: Workspace, *, now: datetime, written: datetime
) -> tuple[datetime | None, list[datetime]]:
    """The occurrence to run now, and the older ones that it makes superfluous; the file was last `written` then.

    Of several missed ones only the newest runs: nobody gets three reminders because the machine slept for three days.
    Nothing runs whose time lies before one that has run, nor on the day of one that ran before its hour was changed:
    another hour written into the file after today's run is tomorrow's.
    A campaign that never ran has missed nothing before its file was written: saving it mails nobody.
    """
    c = campaign_occurrences.c
    known = connection.execute(select(c.occurrence, c.status).where(c.campaign == campaign.campaign)).tuples().all()
    over = {name for name, status in known if status in ("done", "cancelled")}
    newest = max((name for name, status in known if status == "done" and name[:1].isdigit()), default="")
    is_new = not known and written <= now and campaign.schedule is not None and campaign.schedule.at is None
    after = max(now - CATCH_UP, written) if is_new else now - CATCH_UP
    instants = [i for i in planned(campaign, ws, after=after, until=now) if occurrence_name(i) > newest]
    instants = still_to_run(connection, campaign, ws, instants)
    if not instants or occurrence_name(instants[-1]) in over:
        return None, []
    return instants[-1], [i for i in instants[:-1] if occurrence_name(i) not in over]


def too_late(connection: Connection, campaign: Campaign, ws: Workspace, *, now: datetime) -> list[datetime]:
    """The instants that nothing knows of and that are not caught up any more: its file was broken, or nothing ran.

    Only those after the first that ran by the schedule as it is: another one had other instants.
    """
    if campaign.schedule is None:
        return []
    c = campaign_occurrences.c
    known = connection.execute(
        select(c.occurrence, c.planned_for, c.definition).where(c.campaign == campaign.campaign)
    ).tuples()
    names, asked = set(), campaign.schedule.model_dump(mode="json")
    since = now
    for name, at, definition in known:
        names.add(name)
        if name[:1].isdigit() and (definition or {}).get("schedule") == asked:
            since = min(since, at)
    after = max(since, now - LOOK_BACK)
    return [i for i in planned(campaign, ws, after=after, until=now - CATCH_UP) if occurrence_name(i) not in names]


def still_to_run(connection: Connection, campaign: Campaign, ws: Workspace, instants: list[datetime]) -> list[datetime]:
    """The instants but those of a day on which the campaign ran at an hour that its schedule, changed since, has not.

    Every member would get the message of the day a second time.
    """
    if not instants or campaign.schedule is None or campaign.schedule.cron is None:
        return instants
    c = campaign_occurrences.c
    begun = (c.campaign == campaign.campaign, c.status.in_(("done", "running")))
    lately = c.planned_for >= min(instants) - timedelta(days=2)  # from the day's beginning, wherever the clocks change
    ran = connection.execute(select(c.occurrence, c.planned_for, c.definition).where(*begun, lately)).tuples()
    zone, asked = campaign.zone(ws), campaign.schedule.model_dump(mode="json")
    over = {
        at.astimezone(zone).date()
        for name, at, definition in ran
        if name[:1].isdigit()
        and (definition or {}).get("schedule") != asked
        and not any(planned(campaign, ws, after=at - timedelta(seconds=1), until=at))
    }
    return [instant for instant in instants if instant.astimezone(zone).date() not in over]
