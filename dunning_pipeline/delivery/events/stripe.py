"""Stripe's events about payment retries: what succeeded, what the bank declined."""

import hashlib
import hmac
import os
from datetime import UTC, datetime

import orjson

from dunning_pipeline.delivery.events.vocabulary import Event
from dunning_pipeline.errors import InvalidInput, Refused

_NAMES = {
    "payment_intent.succeeded": "succeeded",
    "payment_intent.payment_failed": "declined",
    "payment_intent.canceled": "declined",
    "payment_intent.processing": "processing",
}


def verify(body: bytes, *, signature: str | None, fresh_seconds: float, now: float) -> None:
    """Check Stripe-Signature (t=…,v1=…) over the raw body, and its age. Raises Refused, InvalidInput."""
    secret = os.environ.get("STRIPE_WEBHOOK_SECRET")
    if not secret:
        raise InvalidInput("STRIPE_WEBHOOK_SECRET is not set")
    parts = [part.partition("=") for part in (signature or "").split(",")]
    stamp = next((value for name, _, value in parts if name == "t"), "")
    expected = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not any(hmac.compare_digest(value, expected) for name, _, value in parts if name == "v1"):
        raise Refused("the signature does not fit")
    if not stamp.isdigit() or abs(now - int(stamp)) > fresh_seconds:
        raise Refused("the request is too old", value=stamp)


def parse(body: bytes) -> list[Event]:
    """The event, where it is about a payment of ours; empty for others. Raises InvalidInput."""
    try:
        told = orjson.loads(body)
        about = told["data"]["object"]
        name = told["type"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise InvalidInput("the body is no Stripe event") from None
    key = (about.get("metadata") or {}).get("dunning_key")
    if not key or name not in _NAMES:
        return []
    error = about.get("last_payment_error") or {}
    return [
        Event(
            event_id=str(told["id"]),
            provider="stripe",
            event=_NAMES[name],
            occurred_at=datetime.fromtimestamp(int(told.get("created") or 0), UTC),
            payload=told,
            send_key=str(key),
            message_id=about.get("id"),
            channel="payment_retry",
            reason=error.get("decline_code") or error.get("code") or about.get("cancellation_reason"),
        )
    ]
