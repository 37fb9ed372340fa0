"""When a message may leave: the tenant's hour, the recipient's quiet hours, weekends and holidays where configured."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dunning_pipeline.errors import InvalidDeclaration

_HORIZON_DAYS = 14  # no calendar closes longer than this at a stretch


@lru_cache(maxsize=32)
def holiday_calendar(name: str) -> object:
    """The calendar behind `holidays: DE` or `DE-BY`; raises InvalidDeclaration for one that nobody knows."""
    import holidays

    country, _, region = name.partition("-")
    try:
        return holidays.country_holidays(country, subdiv=region or None)
    except NotImplementedError:
        raise InvalidDeclaration(
            f"there is no holiday calendar {name!r}", remedy="write a country such as DE, or a region such as DE-BY"
        ) from None


def is_closed_day(day: date, calendar: str | None) -> str | None:
    """ "weekend" or "holiday" where a calendar is configured and the day is one; None where messages may leave."""
    if calendar is None:
        return None
    if day.weekday() >= 5:
        return "weekend"
    return "holiday" if day in holiday_calendar(calendar) else None  # type: ignore[operator]


def next_send_time(now: datetime, *, zone: ZoneInfo, hour: int, calendar: str | None = None) -> datetime:
    """The next instant at `hour` o'clock local on an open day, `now` included."""
    local = now.astimezone(zone)
    for offset in range(_HORIZON_DAYS):
        day = local.date() + timedelta(days=offset)
        instant = datetime.combine(day, time(hour), tzinfo=zone)
        if instant >= now and is_closed_day(day, calendar) is None:
            return instant
    raise InvalidDeclaration(f"no open day within {_HORIZON_DAYS} days in calendar {calendar!r}")


def parse_hours(text: str) -> tuple[time, time]:
    """`08:00-21:00` as two local times; raises InvalidDeclaration for anything else."""
    try:
        start, end = (time.fromisoformat(part.strip()) for part in text.split("-"))
    except ValueError:
        raise InvalidDeclaration("hours are written as 08:00-21:00", value=text) from None
    return start, end


def is_within(local: time, start: time, end: time) -> bool:
    """True from `start` up to, not including, `end`; the span may pass midnight (21:00-07:00)."""
    return start <= local < end if start <= end else local >= start or local < end


def allowed_at(now: datetime, *, allowed: str | None, quiet: str | None, zones: Iterable[ZoneInfo]) -> bool:
    """True where every zone is inside the `allowed` hours and outside the `quiet` hours: their intersection."""
    for zone in zones:
        local = now.astimezone(zone).time()
        if allowed is not None and not is_within(local, *parse_hours(allowed)):
            return False
        if quiet is not None and is_within(local, *parse_hours(quiet)):
            return False
    return True


def next_allowed(now: datetime, *, allowed: str | None, quiet: str | None, zones: Iterable[ZoneInfo]) -> datetime:
    """The next quarter of an hour at which `allowed_at` holds; a day later where the zones leave no common hour."""
    places = list(zones)
    step = timedelta(minutes=15)
    start = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    for quarter in range(1, 7 * 96):
        if allowed_at(start + quarter * step, allowed=allowed, quiet=quiet, zones=places):
            return start + quarter * step
    return now + timedelta(days=1)


def zone_or(name: str | None, default: ZoneInfo) -> ZoneInfo:
    """The named IANA zone, else `default`: a wrong zone in a customer record must not stop a message."""
    try:
        return ZoneInfo(name) if name else default
    except (ZoneInfoNotFoundError, ValueError):
        return default
