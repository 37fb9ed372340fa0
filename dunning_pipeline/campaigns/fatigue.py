"""Counts what a contact point got in the last week, so that a campaign does not add to too much."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from dunning_pipeline.campaigns.declaration import Campaign
from dunning_pipeline.ledger.bulk import chunks
from dunning_pipeline.ledger.schema import send_accounts, sends
from dunning_pipeline.settings.company import Company

WEEK = timedelta(days=7)
_COUNTED = ("queued", "in_flight", "sent", "unknown")


def cap_of(campaign: Campaign, company: Company) -> int | None:
    """The smaller of the campaign's and the company's cap; None where neither sets one."""
    caps = [cap for cap in (campaign.send.fatigue_cap_per_week, company.fatigue_cap_per_week) if cap is not None]
    return min(caps) if caps else None


def recent_messages(connection: Connection, account_keys: Iterable[str], *, now: datetime) -> Counter[str]:
    """Messages of the last seven days by address (lower case), those that are still queued included."""
    found: Counter[str] = Counter()
    seen: set[str] = set()  # a digest of more accounts than are asked for at a time counts once
    status = func.coalesce(sends.c.status, "")  # as it is, SQLite would look at all sends of these statuses
    when = func.coalesce(sends.c.sent_at, sends.c.queued_at)
    for some in chunks(sorted(set(account_keys)), 900):
        digests = select(send_accounts.c.send_key).where(send_accounts.c.account_key.in_(some))
        for theirs in (sends.c.account_key.in_(some), sends.c.send_key.in_(digests)):
            query = select(sends.c.send_key, sends.c.recipients).where(theirs, status.in_(_COUNTED), when > now - WEEK)
            for key, recipients in connection.execute(query).tuples():
                if key not in seen:
                    found.update({str(address).lower() for address in recipients.get("to") or []})
                seen.add(key)
    return found
