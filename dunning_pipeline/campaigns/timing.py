"""When a campaign's messages leave: its hour on an open day, outside the recipient's quiet hours."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dunning_pipeline.campaigns.declaration import Campaign
from dunning_pipeline.delivery.judging.hours import allowed_at as allowed
from dunning_pipeline.delivery.judging.hours import is_closed_day, next_allowed, next_send_time, zone_or
from dunning_pipeline.settings.workspace import Workspace

# An occurrence that begins this long after its hour is late, not early: it still leaves the same day.
LATE = timedelta(hours=5)


def due_at(
    campaign: Campaign, ws: Workspace, *, planned_for: datetime, now: datetime, time_zone: str | None, at_once: bool
) -> datetime:
    """Not before this instant. `at_once` overrides hour, weekend and holiday; quiet hours are kept, in all zones where
    `time_zone` names several (a,b)."""
    zone: ZoneInfo = campaign.zone(ws)
    hour = campaign.send.hour if campaign.send.hour is not None else ws.company.send_hour
    calendar = campaign.send.holidays or ws.company.holidays
    if at_once:
        start = now
    else:
        today = planned_for.astimezone(zone).replace(hour=hour, minute=0, second=0, microsecond=0)
        start = today if today <= now < today + LATE or planned_for <= today else now
        start = next_send_time(start, zone=zone, hour=hour, calendar=calendar)
    quiet = campaign.send.quiet_hours
    zones = [zone_or(name.strip(), zone) for name in (time_zone or "").split(",")]
    moment = max(start, now)
    if quiet is None or allowed(moment, allowed=None, quiet=quiet, zones=zones):
        return start
    moment = next_allowed(moment, allowed=None, quiet=quiet, zones=zones)
    if at_once or is_closed_day(moment.astimezone(zone).date(), calendar) is None:
        return moment
    opens = next_send_time(moment, zone=zone, hour=hour, calendar=calendar)  # the quiet hours end on a closed day
    is_free = allowed(opens, allowed=None, quiet=quiet, zones=zones)
    return opens if is_free else next_allowed(opens, allowed=None, quiet=quiet, zones=zones)
