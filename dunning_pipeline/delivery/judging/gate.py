"""The last look before a message leaves: amounts, blocks, consent, suppression, hours, freshness, stop button."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dunning_pipeline.delivery.judging.digests import digest_obstacle, told_accounts
from dunning_pipeline.delivery.judging.facts import Item, ItemNow
from dunning_pipeline.delivery.judging.hours import allowed_at, is_closed_day, next_allowed, next_send_time, zone_or
from dunning_pipeline.delivery.judging.recipients import permitted, still_theirs
from dunning_pipeline.delivery.judging.verdicts import POINTS, Facts, Verdict, business_day, is_mandatory
from dunning_pipeline.delivery.queue import RENDERED
from dunning_pipeline.money import amount_text
from dunning_pipeline.settings.company import Company

_UNLISTED = ItemNow(0, "gone", False, False)


def judge(
    row: Mapping[str, Any],
    facts: Facts,
    *,
    now: datetime,
    company: Company,
    send_now: bool,
    addresses: Mapping[str, str],
) -> Verdict:
    """Whether a claimed send may leave at `now`. `send_now` overrides the hour, weekend and holiday, nothing else.

    `addresses` gives the normal form of each of its recipients. The first obstacle is the answer, in this order:
    stop button, what was decided meanwhile, amounts, blocks, permission, recipients, freshness of the facts, time.
    """
    if facts.is_stopped:
        return Verdict("stop", "stopped")
    if row["campaign"] in facts.paused_campaigns:
        return Verdict("hold", "campaign_paused", until=now)
    for check in (_statement_stands, _not_blocked, _not_overtaken, permitted, still_theirs, _fresh):
        verdict = check(row, facts, now, company, addresses)
        if verdict is not None:
            return verdict
    return _in_time(row, now, company, send_now) or Verdict("go")


def _statement_stands(row: Any, facts: Facts, now: datetime, company: Company, addresses: Any) -> Verdict | None:
    statement_id = row["statement_id"]
    if told_accounts(row):
        obstacle = digest_obstacle(row, facts, addresses.get(row["recipients"]["to"][0]))
        return Verdict("cancel", obstacle) if obstacle else None
    if statement_id is None:  # a message that lists what is open: what is not in the books any more proves nothing
        known = {item: said for item, said in _listed(row, facts).items() if item in facts.items}
        return _owned(row, facts) or _amounts_stand(known, facts) or (_credits_stand(row, facts) if known else None)
    if row["kind"] == "draft":
        return None
    status = facts.statements.get(statement_id)
    if status != "closed":
        return Verdict("cancel", f"statement_{status or 'gone'}")
    if row["kind"] == "account":
        return _owned(row, facts)
    return (
        _owned(row, facts)
        or _amounts_stand(_listed(row, facts), facts)
        or _credits_stand(row, facts)
        or _deadline_stands(row, facts, business_day(now, company))
    )


def _deadline_stands(row: Any, facts: Facts, today: date) -> Verdict | None:
    # a message that waited too long would ask for a date in the past; a re-send is a copy on purpose
    last = facts.last_days.get(row["statement_id"])
    if last is None or last >= today or row["kind"] != "dunning" or row["channel"] not in RENDERED:
        return None
    return Verdict("cancel", "deadline_passed", detail=f"it asks to pay by {last.isoformat()}")


def _owned(row: Any, facts: Facts) -> Verdict | None:
    """A debt is told to whoever owes it now: an invoice may have gone to another account (merged, corrected)."""
    for item in _listed(row, facts):
        owner = facts.items.get(item, _UNLISTED).account_key
        if owner not in ("", row["account_key"]):
            return Verdict("cancel", "owner_changed", detail=f"{item[0]} belongs to account {owner} now")
    return None


def _amounts_stand(listed: Mapping[Item, int], facts: Facts) -> Verdict | None:
    for item, said in listed.items():
        current = facts.items.get(item, _UNLISTED)
        open_minor = current.open_minor if current.status == "posted" else 0
        if open_minor != said:
            if not current.currency:
                return Verdict("cancel", "amount_changed", detail=f"{item[0]} is not in the books any more")
            change = _changed(said, open_minor, current.currency)
            return Verdict("cancel", "amount_changed", detail=f"{item[0]}: {change}")
    return None


def _credits_stand(row: Any, facts: Facts) -> Verdict | None:
    """Money that names no invoice pays as well as money that does: what came since it was written makes it wrong."""
    for holder, said in facts.known_credits.get(row["statement_id"] or row["send_key"], {}).items():
        current = facts.credits.get(holder, 0)
        if current != said:
            return Verdict("cancel", "amount_changed", detail=f"credits: {_changed(said, current, holder[2])}")
    return None


def _changed(said: int, current: int, currency: str) -> str:
    return f"{amount_text(said, currency)} {currency} when written, {amount_text(current, currency)} {currency} now"


def _listed(row: Any, facts: Facts) -> dict[Item, int]:
    return facts.listed.get(row["statement_id"] or row["send_key"], {})


def _not_blocked(row: Any, facts: Facts, now: datetime, company: Company, addresses: Any) -> Verdict | None:
    # as at closing: what holds reminders back does not hold back a statement of account
    if row["kind"] in ("draft", "account") or told_accounts(row):
        return None
    obstacle = _obstacle(row, facts)
    if obstacle is None or is_mandatory(row["kind"]):
        return obstacle
    # a campaign's next occurrence tells it anew; weeks later this one would be about yesterday
    return replace(obstacle, action="cancel") if _listed(row, facts) else None


def _not_overtaken(row: Any, facts: Facts, now: datetime, company: Company, addresses: Any) -> Verdict | None:
    """Who was asked for money meanwhile may have paid it, and no bank statement says so yet: a person decides."""
    return Verdict("hold", "reminder_left") if row["send_key"] in facts.overtaken else None


def _obstacle(row: Any, facts: Facts) -> Verdict | None:
    if row["statement_id"] in facts.agreed:
        return Verdict("hold", "block", detail=f"{facts.agreed[row['statement_id']]} since the statement was closed")
    listed = [(item[0], facts.items.get(item, _UNLISTED)) for item in _listed(row, facts)]
    invoices, groups = [key for key, _ in listed], [current.bill_group_key for _, current in listed]
    for key in (row["account_key"], row["bill_group_key"], *groups, *invoices):
        if key in facts.blocks:
            kind = facts.blocks[key]
            return Verdict("hold", "dispute" if kind == "dispute" else "block", detail=f"{kind} on {key}")
        if key in facts.prevented:
            return Verdict("hold", "block", detail=f"the source says not to dun {key}")
    for invoice, current in listed:
        if current.is_prevented or current.is_disputed:
            return Verdict("hold", "dispute" if current.is_disputed else "block", detail=invoice)
        if current.is_promised:
            return Verdict("hold", "block", detail=f"the source says that {invoice} is promised for a later day")
    for item, due_on in facts.due.get(row["statement_id"], {}).items():
        extended = facts.items.get(item, _UNLISTED).due_on
        if extended is not None and extended > due_on:
            return Verdict("hold", "block", detail=f"the source says that {item[0]} is due on {extended} now")
    return None


def _fresh(row: Any, facts: Facts, now: datetime, company: Company, addresses: Any) -> Verdict | None:
    if row["kind"] == "draft":
        return None
    if facts.facts_unpublished:
        return Verdict("hold", "facts_unpublished", until=now, detail="newer data was read and is not built yet")
    if not is_mandatory(row["kind"]) and not told_accounts(row):
        return None
    loaded = facts.payments_loaded_at
    if loaded is not None and now - loaded > timedelta(hours=company.payment_data_max_age_hours):
        return Verdict("hold", "payment_data_old", until=now, detail=f"payments were last read at {loaded:%F %R} UTC")
    return None


def _in_time(row: Any, now: datetime, company: Company, send_now: bool) -> Verdict | None:
    channel = row["channel"]
    if channel in POINTS:
        zones = zones_of(row, company)
        allowed = company.sms_hours if channel == "sms" else None
        quiet = company.email_quiet_hours if channel == "email" else None
        if not allowed_at(now, allowed=allowed, quiet=quiet, zones=zones):
            until = next_allowed(now, allowed=allowed, quiet=quiet, zones=zones)
            if not allowed_at(until, allowed=allowed, quiet=quiet, zones=zones):
                names = ", ".join(sorted({zone.key for zone in zones}))
                return Verdict("hold", "no_common_hour", until=until, detail=f"no hour of the day suits {names}")
            return Verdict("hold", "quiet_hours", until=until)
    if send_now or row["send_now"] or channel not in RENDERED:
        return None
    closed = is_closed_day(now.astimezone(company.zone).date(), company.holidays)
    if closed is None:
        return None
    until = next_send_time(now, zone=company.zone, hour=company.send_hour, calendar=company.holidays)
    return Verdict("hold", closed, until=until)


def zones_of(row: Mapping[str, Any], company: Company) -> list[ZoneInfo]:
    """The recipient's zones, all of which must agree: the account's (several may be written a,b) and, for a number,
    those of its country code."""
    named = [zone_or(name.strip(), company.zone) for name in (row["time_zone"] or "").split(",") if name.strip()]
    zones = named or [company.zone]
    if row["channel"] == "sms":
        zones += [zone for number in row["recipients"]["to"] for zone in number_zones(number)]
    return zones


def number_zones(number: str) -> Sequence[ZoneInfo]:
    """The zones that an E.164 number can be in; empty where that says nothing (mobile numbers of large countries)."""
    import phonenumbers
    from phonenumbers import timezone as number_time_zones

    try:
        names = number_time_zones.time_zones_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return []
    # a country-wide list of many zones tells nothing about this person
    return [ZoneInfo(name) for name in names if name != "Etc/Unknown"] if len(names) <= 2 else []
