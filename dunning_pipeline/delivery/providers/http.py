"""The HTTP side of providers: which hosts are allowed, and one classification of every answer."""

import os
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import orjson

from dunning_pipeline.delivery.providers.protocol import Answer, shorten
from dunning_pipeline.errors import InvalidInput


def checked_host(url: str, variable: str) -> str:
    """The base address without a trailing slash; plain http is allowed on loopback only. Raises InvalidInput."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url.rstrip("/")
    if parts.scheme == "http" and is_loopback(parts.hostname or ""):
        return url.rstrip("/")
    raise InvalidInput(
        f"{variable} must be an https address (http only on loopback)",
        value=url,
        remedy=f"set {variable}=https://…",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_sandbox() -> bool:
    """Whether SendGrid is to validate only (`SENDGRID_SANDBOX=1`): a dry run."""
    return os.environ.get("SENDGRID_SANDBOX", "") in ("1", "true", "yes")


def classify(
    status: int, headers: Mapping[str, str], body: bytes, *, accepted: Collection[int], message_id: str | None = None
) -> Answer:
    """What an HTTP answer means for the message (domain §8)."""
    if status in accepted:
        return Answer("sent", status=str(status), message_id=message_id)
    told: dict[str, Any] = {"status": str(status), "detail": reason_in(body)}
    if status in (401, 403) or 300 <= status < 400:
        # a redirect means that this is not the provider; following it would turn the POST into a GET
        return Answer("locked_out", **told)
    if status in (429, 503):
        return Answer("refused", retry_after_seconds=retry_after(headers), **told)
    if 400 <= status < 500:
        return Answer("failed", **told)
    return Answer("unknown", **told)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from Retry-After (a number or an HTTP date) or X-RateLimit-Reset (epoch seconds); None where unsaid."""
    said = headers.get("Retry-After")
    if said:
        if said.strip().isdigit():
            return float(said)
        try:
            return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            return None
    reset = headers.get("X-RateLimit-Reset", "")
    return max(0.0, float(reset) - datetime.now(UTC).timestamp()) if reset.isdigit() else None


def reason_in(body: bytes) -> str | None:
    """The messages of a JSON error body, else its text."""
    try:
        told: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return shorten(body)
    if isinstance(told, dict):
        errors = told.get("errors")
        if isinstance(errors, list):
            said = [f"{e.get('field') or ''} {e.get('message') or ''}".strip() for e in errors if isinstance(e, dict)]
            return shorten("; ".join(said))
        error = told.get("error")
        if isinstance(error, dict):
            return shorten(str(error.get("decline_code") or error.get("message") or error.get("code")))
        return shorten(str(told.get("message") or error or told))
    return shorten(body)
