"""Signed links to the preference page, and the one-click unsubscribe headers of mail that nobody has to get."""

import os
import secrets
from functools import lru_cache
from pathlib import Path

from itsdangerous import BadSignature, URLSafeSerializer

from dunning_pipeline.delivery.permission.contact_points import normal_email
from dunning_pipeline.errors import Refused
from dunning_pipeline.settings.workspace import Workspace

_PURPOSE = "dunning-preferences"


def preference_link(ws: Workspace, address: str) -> str | None:
    """Where this address can see and change what it gets; None where the company has no public URL."""
    if not ws.company.public_url:
        return None
    token = _signer(ws).dumps(normal_email(address))
    return f"{ws.company.public_url.rstrip('/')}/preferences/{token}"


def address_of(ws: Workspace, token: str) -> str:
    """The address that a link was made for; raises Refused for a token that we did not sign."""
    try:
        return str(_signer(ws).loads(token))
    except BadSignature:
        raise Refused("this link is not valid; use the newest one that you got from us") from None


def unsubscribe_headers(ws: Workspace, address: str) -> dict[str, str]:
    """List-Unsubscribe with one click (RFC 8058); empty where the company has no public URL."""
    link = preference_link(ws, address)
    if link is None:
        return {}
    return {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def _signer(ws: Workspace) -> URLSafeSerializer:
    return _serializer(secret_of(ws))


@lru_cache(maxsize=8)
def _serializer(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt=_PURPOSE)


def secret_of(ws: Workspace) -> str:
    """The workspace's signing secret: DUNNING_SECRET, else a random one kept in the state folder (mode 600)."""
    given = os.environ.get("DUNNING_SECRET")
    return given or _kept_secret(ws.state / "secret.key")


@lru_cache(maxsize=8)
def _kept_secret(file: Path) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text(encoding="ascii")
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(secrets.token_urlsafe(48))
        out.flush()
        os.fsync(out.fileno())
    return file.read_text(encoding="ascii")
