"""Twilio's callbacks: message states, and STOP or START answered by a recipient."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from dunning_pipeline.delivery.events.vocabulary import Event
from dunning_pipeline.errors import InvalidInput, Refused
from dunning_pipeline.ledger.types import canonical_json

_STATES = {
    "queued": "processed",
    "accepted": "processed",
    "scheduled": "processed",
    "sending": "processed",
    "sent": "processed",
    "delivered": "delivered",
    "read": "opened",
    "undelivered": "bounced",
    "failed": "bounced",
}
STOP_WORDS = frozenset(
    ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "STOPP", "ABMELDEN"]
)
START_WORDS = frozenset(["START", "YES", "UNSTOP"])
# numbers that will never take a text message
_GONE = {"21211", "21614", "30003", "30005", "30006"}


def verify(form: Mapping[str, Any], *, urls: Iterable[str], signature: str | None) -> None:
    """Check the HMAC over address and form. Raises Refused, or InvalidInput where no token is set."""
    token = os.environ.get("TWILIO_AUTH_TOKEN")
    if not token:
        raise InvalidInput("TWILIO_AUTH_TOKEN is not set")
    from twilio.request_validator import RequestValidator

    validator = RequestValidator(token)
    if not signature or not any(validator.validate(url, dict(form), signature) for url in urls):
        raise Refused("the signature does not fit")


def parse(form: Mapping[str, str], *, key: str | None) -> list[Event]:
    """The event of a callback; several where a STOP both opts out and suppresses. Raises InvalidInput."""
    sid = form.get("MessageSid") or form.get("SmsSid")
    if not sid:
        raise InvalidInput("the callback names no message")
    now = datetime.now(UTC)
    state = form.get("MessageStatus") or form.get("SmsStatus") or ""
    said = (form.get("OptOutType") or form.get("Body") or "").strip().upper()
    identity = hashlib.sha256(canonical_json([sid, state, said]).encode()).hexdigest()
    common: dict[str, Any] = {"provider": "twilio", "occurred_at": now, "payload": dict(form), "channel": "sms"}
    if form.get("Body") is not None and state in ("", "received"):
        who = form.get("From")
        if said in STOP_WORDS:
            return [
                Event(
                    event_id=identity, event="unsubscribed", address=who, suppress="stop_word", opts_out=True, **common
                )
            ]
        if said in START_WORDS:
            return [Event(event_id=identity, event="resubscribed", address=who, **common)]
        return [Event(event_id=identity, event="answered", address=who, **common)]
    code = form.get("ErrorCode", "")
    suppress = "stop_word" if code == "21610" else "invalid" if code in _GONE else None
    return [
        Event(
            event_id=identity,
            event=_STATES.get(state, state or "told"),
            send_key=key,
            message_id=sid,
            address=form.get("To"),
            reason=code or None,
            suppress=suppress,
            **common,
        )
    ]
