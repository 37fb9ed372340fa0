"""Who may get a message, as the gate asks: permission of each address, and whether the source still names it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dunning_pipeline.delivery.judging.verdicts import (
    DUNNING_SUBSCRIPTION,
    POINTS,
    Facts,
    Verdict,
    is_mandatory,
)
from dunning_pipeline.settings.company import Company


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
    if row["channel"] not in POINTS or not _follows_source(row, facts, "to", "sms"):
        return None
    if (points := facts.points.get(row["account_key"])) is None:
        return None
    for address in row["recipients"]["to"]:
        if addresses[address] not in points:
            return Verdict("cancel", "recipient_changed", detail=f"the source does not name {address} any more")
    return None


def _follows_source(row: Any, facts: Facts, *parts: str) -> bool:
    """Whether these recipients are those of the decision, and not a person's choice."""
    by_hand = row["statement_id"] in facts.named_by_hand or not (row["overrides"] or {}).keys().isdisjoint(parts)
    return row["kind"] in ("dunning", "account") and not by_hand


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
