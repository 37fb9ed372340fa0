"""Who may get a message, as the gate asks: permission of each address, and whether the source still names it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dunning_pipeline.delivery.judging.verdicts import (
    DUNNING_SUBSCRIPTION,
    FOLLOWING,
    POINTS,
    Facts,
    Verdict,
    is_mandatory,
)
from dunning_pipeline.letters.document import clean
from dunning_pipeline.settings.company import Company

PLACE = ("street", "postal_code", "city", "state", "country")  # of a postal address: where a letter arrives


def permitted(row: Any, facts: Facts, now: datetime, company: Company, addresses: Mapping[str, str]) -> Verdict | None:
    channel = row["channel"]
    if channel not in POINTS:
        return None
    for address in row["recipients"]["to"]:
        refusal = _refusal(row, address, facts, company, addresses)
        if refusal is not None:
            return refusal
    if channel == "email" and not is_mandatory(row["kind"]) and not company.public_url:
        return Verdict("hold", "not_configured", detail="mail that nobody must get needs a way out of it: `public_url`")
    return None


def still_theirs(
    row: Any, facts: Facts, now: datetime, company: Company, addresses: Mapping[str, str]
) -> Verdict | None:
    """Whether the source still reaches the account there; whom a person chose stays chosen."""
    if row["channel"] == "letter":
        return _still_there(row, facts)
    if row["channel"] not in POINTS or not _follows_source(row, facts, "to", "sms"):
        return None
    if (points := facts.points.get(row["account_key"])) is None:
        return None
    if row["kind"] == "collection_plan":  # goes to the plan's contact, where it names one
        points = points | facts.plan_points.get(row["account_key"], set())
    for address in row["recipients"]["to"]:
        if addresses[address] not in points:
            return Verdict("cancel", "recipient_changed", detail=f"the source does not name {address} any more")
    return None


def _still_there(row: Any, facts: Facts) -> Verdict | None:
    """Whether the letter goes where the source has the account now. Names do not count: they are corrected more often
    than people move, and the letter arrives."""
    current = facts.postal.get(row["account_key"])
    if current is None or row["kind"] not in FOLLOWING or "address" in facts.by_hand.get(row["statement_id"], ()):
        return None
    written = row["recipients"].get("address") or (row["document"] or {}).get("address") or {}
    if all(_place(written[part]) == _place(current[part]) for part in PLACE if part in written and part in current):
        return None
    place = ", ".join(str(current[part]) for part in PLACE if current.get(part))
    if not any(current.get(part) for part in ("street", "city")):
        return Verdict("cancel", "recipient_changed", detail="the source has no postal address any more")
    return Verdict("cancel", "recipient_changed", detail=f"the source has another postal address now: {place}")


def _place(text: str | None) -> str:
    return " ".join((clean(text) or "").split()).casefold()


def _follows_source(row: Any, facts: Facts, *parts: str) -> bool:
    """Whether these recipients are those of the decision, and not a person's choice."""
    chosen = "recipients" in facts.by_hand.get(row["statement_id"], ())
    return row["kind"] in FOLLOWING and not chosen and (row["overrides"] or {}).keys().isdisjoint(parts)


def barred_copies(
    row: Mapping[str, Any], facts: Facts, *, company: Company, addresses: Mapping[str, str]
) -> dict[str, str]:
    """Copy recipients (cc, bcc) that may not be written to, and why; the message leaves without them."""
    barred = {}
    for part in ("cc", "bcc"):
        known = facts.copies.get(row["account_key"]) if _follows_source(row, facts, part) else None
        for address in row["recipients"].get(part) or ():
            refusal = _refusal(row, address, facts, company, addresses)
            if refusal is not None:
                barred[address] = f"{refusal.reason}: {refusal.detail}"
            elif known is not None and addresses[address] not in known:
                barred[address] = "the source does not name it any more"
    return barred


def _refusal(row: Any, address: str, facts: Facts, company: Company, addresses: Mapping[str, str]) -> Verdict | None:
    if address in facts.invalid:
        return Verdict("hold", "invalid_address", detail=facts.invalid[address])
    channel, point = row["channel"], addresses[address]
    subscription = DUNNING_SUBSCRIPTION if is_mandatory(row["kind"]) else "campaigns"
    needs_opt_in = subscription == DUNNING_SUBSCRIPTION and company.consent_for_dunning == "required"
    if (channel, point) in facts.suppressed:
        return Verdict("hold", "suppressed", detail=f"{facts.suppressed[channel, point]}")
    said = facts.consents.get((channel, point, subscription))
    if said == "opt_out" or (needs_opt_in and said != "opt_in"):
        return Verdict("hold", "consent", detail="opted out" if said == "opt_out" else "no opt-in is recorded")
    return None
