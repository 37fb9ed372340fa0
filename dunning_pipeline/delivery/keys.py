"""Names a send by its business facts, so that the same message can never be queued twice under two names."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dunning_pipeline.ledger.types import canonical_json

_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


def send_key(
    *,
    channel: str,
    kind: str,
    recipients: Mapping[str, Any] | None = None,
    statement_id: str | None = None,
    draft_version: int | None = None,
    campaign: str | None = None,
    occurrence: str | None = None,
    recipient: str | None = None,
) -> str:
    """The key of a send: readable, unique by its facts, safe as a file name on every system (at most 120 characters).

    A statement's send is named by statement, channel, recipient set and kind, never by the campaign that carried it:
    a campaign and a clerk who send the same reminder meet in one row. A message campaign's send is named by campaign,
    occurrence, recipient and channel. A deliberate second sending has another kind (`resend:1`). A mailed draft is
    named with its row version too, because an edited draft is another message.
    """
    if statement_id is not None:
        subject = statement_id
        facts = ["statement", statement_id, channel, recipient_set(recipients or {}), kind, draft_version]
    else:
        if campaign is None or occurrence is None or recipient is None:
            raise ValueError("a send belongs to a statement, or to a campaign's occurrence and recipient")
        subject = f"{campaign}-{occurrence}"
        facts = ["campaign", campaign, occurrence, recipient, channel, kind]
    digest = hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:20]
    return f"{_safe(kind, 16)}-{_safe(subject, 56)}-{_safe(channel, 14)}-{digest}"


def recipient_set(recipients: Mapping[str, Any]) -> dict[str, list[str]]:
    """Who gets it, without order, case of addresses or empty parts; what a person would call the same recipients."""
    return {
        part: sorted({str(address).strip().lower() for address in addresses})
        for part, addresses in recipients.items()
        if addresses and isinstance(addresses, Sequence) and not isinstance(addresses, str)
    }


def content_hash(facts: Mapping[str, Any]) -> str:
    """SHA-256 of everything that determines a message; equal for equal facts whatever their order."""
    return hashlib.sha256(canonical_json(dict(facts)).encode()).hexdigest()


def _safe(text: str, longest: int) -> str:
    return _UNSAFE.sub("-", text).strip("-")[:longest].rstrip("-") or "x"
