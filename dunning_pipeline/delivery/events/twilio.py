"""Twilio's callbacks: message states, and STOP or START answered by a recipient."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from unicodedata import combining, normalize

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
# What recipients answer, in the languages that texts are shipped in: without accents, spaces and signs.
STOP_WORDS = {
    *("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "REMOVE"),
    *("STOPP", "ABMELDEN", "ABBESTELLEN"),
    *("ARRET", "ARRETER", "ARRETEZ", "DESABONNER", "DESINSCRIRE"),
    *("BAJA", "PARAR", "ALTO", "CANCELAR"),
}
START_WORDS = {"START", "YES", "UNSTOP", "ANMELDEN", "DEMARRER", "REPRENDRE", "ALTA", "INICIAR", "EMPEZAR"}
# With these in front a whole sentence is a no as well: "Stop sending me this".
_SURE = {"STOP", "STOPP", "UNSUBSCRIBE", "ARRET", "ARRETEZ"}
# numbers that will never take a text message (30003 is none of them: a phone that is switched off)
_GONE = {"21211", "21614", "30005", "30006"}


def _words(text: str) -> tuple[str, str]:
    """A text, and its first word, as STOP_WORDS are written."""
    plain = "".join(one for one in normalize("NFKD", text.upper()) if not combining(one))
    words = ["".join(filter(str.isalnum, word)) for word in plain.replace("'", " ").replace("’", " ").split()]
    words = [word for word in words if word]
    return "".join(words), words[0] if words else ""


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
        whole, first = _words(said)
        if whole in STOP_WORDS or first in _SURE:
            return [
                Event(
                    event_id=identity, event="unsubscribed", address=who, suppress="stop_word", opts_out=True, **common
                )
            ]
        if whole in START_WORDS:
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
