"""SendGrid's event webhook: the signature over the raw body, and its events in our vocabulary."""

import base64
import binascii
import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from dunning_pipeline.delivery.events.vocabulary import Event
from dunning_pipeline.errors import InvalidInput, Refused

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
FRESH_SECONDS = 600.0

_NAMES = {
    "processed": "processed",
    "deferred": "deferred",
    "delivered": "delivered",
    "open": "opened",
    "click": "clicked",
    "bounce": "bounced",
    "dropped": "dropped",
    "spamreport": "complained",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
    "group_resubscribe": "resubscribed",
}
# why SendGrid drops a message without trying
_DROPPED = (
    ("bounced address", "hard_bounce"),
    ("invalid", "invalid"),
    ("spam reporting address", "complaint"),
)


def verify(
    public_key: str, *, body: bytes, signature: str | None, timestamp: str | None, fresh_seconds: float, now: float
) -> None:
    """Check ECDSA over timestamp + raw body, and that the timestamp is fresh (real clock, seconds).

    Raises Refused. The body must be the bytes as they came: SendGrid signs a trailing line break too.
    """
    if not signature or not timestamp or not timestamp.isdigit():
        raise Refused("the request is not signed")
    try:
        given = base64.b64decode(signature, validate=True)
        _key(public_key).verify(given, timestamp.encode() + body, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        raise Refused("the signature does not fit") from None
    if abs(now - int(timestamp)) > fresh_seconds:
        raise Refused("the request is too old", value=timestamp)


@lru_cache(maxsize=4)
def _key(text: str) -> EllipticCurvePublicKey:
    try:
        key = load_der_public_key(base64.b64decode("".join(text.split())))
    except ValueError:
        raise InvalidInput("SENDGRID_WEBHOOK_PUBLIC_KEY is no public key") from None
    if not isinstance(key, EllipticCurvePublicKey):
        raise InvalidInput("SENDGRID_WEBHOOK_PUBLIC_KEY is no elliptic curve key")
    return key


def parse(body: bytes) -> tuple[list[Event], int]:
    """The events of a request, and how many of its entries are none. Raises InvalidInput for a body that is no list."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidInput("the body is not JSON") from None
    if not isinstance(told, list):
        raise InvalidInput("the body is no list of events")
    events = [_event(entry) for entry in told if isinstance(entry, dict)]
    good = [event for event in events if event is not None]
    return good, len(told) - len(good)


def _event(entry: Mapping[str, Any]) -> Event | None:
    name, stamp = entry.get("event"), entry.get("timestamp")
    if not isinstance(name, str) or not isinstance(stamp, int | float) or not 0 < stamp < 1e11:
        return None
    told = _NAMES.get(name, name)
    if told == "bounced" and entry.get("type") == "blocked":
        told = "blocked"
    reason = _text(entry.get("reason") or entry.get("response"))
    key = entry.get("dunning_key")
    return Event(
        event_id=_text(entry.get("sg_event_id")) or _hash_of(entry),
        provider="sendgrid",
        event=told,
        occurred_at=datetime.fromtimestamp(stamp, UTC),
        payload=entry,
        send_key=key if isinstance(key, str) else None,
        message_id=(_text(entry.get("sg_message_id")) or "").partition(".")[0] or None,
        address=_text(entry.get("email")),
        reason=reason,
        suppress=_suppression(told, reason),
        opts_out=told == "unsubscribed" or (told == "dropped" and "unsubscribed address" in (reason or "").lower()),
    )


def _suppression(event: str, reason: str | None) -> str | None:
    if event == "bounced":
        return "hard_bounce"
    if event == "complained":
        return "complaint"
    if event == "dropped":
        said = (reason or "").lower()
        return next((ours for theirs, ours in _DROPPED if theirs in said), None)
    return None


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _hash_of(entry: Mapping[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)).hexdigest()


def real_seconds() -> float:
    return time.time()
