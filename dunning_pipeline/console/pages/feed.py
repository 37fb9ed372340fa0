"""The marketing calendar as a feed: downloaded, or subscribed to by a calendar program under a secret address."""

import hmac
import secrets
from datetime import timedelta
from hashlib import sha256

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dunning_pipeline.campaigns import calendar
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.noting import write_note
from dunning_pipeline.console.pages.calendar import entries
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import notes, users
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.settings.workspace import Workspace

FEED = "calendar.feed"  # kind of note: its body is the hash of a user's secret, the newest one (ids grow) counts
BEFORE, AHEAD = timedelta(days=30), timedelta(days=60)


@allowed("viewer")
def download(desk: Desk) -> Response:
    return _ics(desk.workspace)


@allowed("viewer")
def subscribe(desk: Desk) -> Response:
    """A new secret address for this user; the one before it ends."""
    secret, user_id = secrets.token_urlsafe(24), desk.user.user_id
    with desk.engine.begin() as connection:
        write_note(desk, connection, FEED, user_id, _hashed(secret))
        desk.record("calendar.subscribe", "user", user_id, connection=connection)
    return desk.page("subscribe.html", address=f"{desk.request.base_url}calendar/{user_id}/{secret}.ics")


async def subscribed(request: Request) -> Response:
    """The feed for whoever has the address of an active user; it tells campaigns and counts, no accounts."""
    return await run_in_threadpool(_answer, request)


def _answer(request: Request) -> Response:
    user_id, secret = request.path_params["user_id"], request.path_params["secret"]
    newest = (
        select(notes.c.body)
        .join(users, users.c.user_id == notes.c.object_id)
        .where(notes.c.object_kind == FEED, notes.c.object_id == user_id, users.c.is_active)
        .order_by(notes.c.note_id.desc())
    )
    with reading(request.app.state.engine) as connection:
        known = connection.scalar(newest.limit(1))
    if not hmac.compare_digest(known or "", _hashed(secret)):
        return PlainTextResponse("There is no such calendar.", 404)
    return _ics(request.app.state.workspace)


def _ics(ws: Workspace) -> Response:
    now = business_now()
    today = now.astimezone(ws.company.zone).date()
    rows, _ = entries(ws, first=today - BEFORE, last=today + AHEAD, now=now)
    text = calendar.as_ics(rows, company=ws.company.name, now=now)
    headers = {"Content-Disposition": 'attachment; filename="dunning.ics"'}
    return Response(text, media_type="text/calendar; charset=utf-8", headers=headers)


def _hashed(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


routes = [
    Route("/calendar.ics", download),
    Route("/calendar/subscribe", subscribe, methods=["POST"]),
    Route("/calendar/{user_id}/{secret}.ics", subscribed),
]
