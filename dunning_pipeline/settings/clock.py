"""The business instant: the one place where the wall clock, or DUNNING_NOW instead of it, enters the product."""

import os
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from dunning_pipeline.errors import InvalidInput


def is_test_clock() -> bool:
    """True where DUNNING_NOW replaces the wall clock; commands show it and the ledger records it."""
    return bool(os.environ.get("DUNNING_NOW"))


def business_now() -> datetime:
    """The business instant, aware, in UTC: DUNNING_NOW if set, else the wall clock.

    Leases, backoff, rate limits and signature freshness do not use this: they use the real clock.
    Raises InvalidInput where DUNNING_NOW is not an ISO 8601 instant with an offset.
    """
    text = os.environ.get("DUNNING_NOW")
    if not text:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise InvalidInput(
            "DUNNING_NOW is not an instant", value=text, remedy="write it as 2013-01-31T09:00:00+01:00, with the offset"
        )
    return instant.astimezone(UTC)


def business_date(time_zone: str) -> date:
    """Today's business date in the company's time zone (IANA name)."""
    return business_now().astimezone(ZoneInfo(time_zone)).date()
