"""`dunning webhook`: a small ASGI app that takes the providers' signed events and the recipients' preferences."""

import asyncio
import os
from datetime import UTC, datetime
from functools import partial

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dunning_pipeline.delivery.events import sendgrid
from dunning_pipeline.delivery.events.recording import record_together
from dunning_pipeline.delivery.events.vocabulary import Event
from dunning_pipeline.delivery.permission.preference_page import answer_preferences, show_preferences
from dunning_pipeline.delivery.working.recorder import Recorder
from dunning_pipeline.errors import DunningError, InvalidInput, Refused
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.settings.workspace import Workspace

MAX_BODY_BYTES = 8_000_000


def webhook_app(ws: Workspace) -> Starlette:
    """The app over one workspace. Keys are read from the environment at each request's start; what is unsigned, stale
    or too large is refused, and an answer of 2xx means that the events are in the ledger."""
    recorder = Recorder(open_ledger(ws))
    hooks = Hooks(ws, recorder)
    routes = [
        Route("/webhooks/sendgrid", hooks.sendgrid, methods=["POST"]),
        Route("/webhooks/twilio", hooks.twilio, methods=["POST"]),
        Route("/webhooks/stripe", hooks.stripe, methods=["POST"]),
        Route("/preferences/{token}", hooks.preferences, methods=["GET", "POST"]),
        Route("/health", lambda request: PlainTextResponse("ok")),
    ]
    app = Starlette(routes=routes)
    app.state.recorder = recorder
    return app


class Hooks:
    """The endpoints; each verifies first, then parses, then waits until the ledger has it."""

    def __init__(self, ws: Workspace, recorder: Recorder) -> None:
        self._ws, self._recorder = ws, recorder

    async def sendgrid(self, request: Request) -> Response:
        key = os.environ.get("SENDGRID_WEBHOOK_PUBLIC_KEY")
        if not key:
            return _problem(503, "SENDGRID_WEBHOOK_PUBLIC_KEY is not set")
        body = await _body(request)
        if body is None:
            return _problem(413, "the body is too large")
        try:
            sendgrid.verify(
                key,
                body=body,
                signature=request.headers.get(sendgrid.SIGNATURE),
                timestamp=request.headers.get(sendgrid.TIMESTAMP),
                fresh_seconds=_fresh_seconds(),
                now=sendgrid.real_seconds(),
            )
            events, skipped = sendgrid.parse(body)
        except Refused as error:
            return _problem(403, error.message)
        except InvalidInput as error:
            return _problem(400, error.message)
        return await self._record(events, skipped)

    async def twilio(self, request: Request) -> Response:
        from dunning_pipeline.delivery.events import twilio

        body = await _body(request)
        if body is None:
            return _problem(413, "the body is too large")
        try:
            form = dict(await request.form())
            twilio.verify(form, urls=self._urls(request), signature=request.headers.get("X-Twilio-Signature"))
            events = twilio.parse({k: str(v) for k, v in form.items()}, key=request.query_params.get("key"))
        except Refused as error:
            return _problem(403, error.message)
        except InvalidInput as error:
            return _problem(503 if "not set" in error.message else 400, error.message)
        answer = await self._record(events, 0)
        # Twilio reads the body as TwiML; an empty response means: say nothing back
        return answer if answer.status_code >= 400 else Response("<Response/>", media_type="text/xml")

    async def stripe(self, request: Request) -> Response:
        from dunning_pipeline.delivery.events import stripe

        body = await _body(request)
        if body is None:
            return _problem(413, "the body is too large")
        try:
            stripe.verify(
                body,
                signature=request.headers.get("Stripe-Signature"),
                fresh_seconds=_fresh_seconds(),
                now=sendgrid.real_seconds(),
            )
            events = stripe.parse(body)
        except Refused as error:
            return _problem(403, error.message)
        except InvalidInput as error:
            return _problem(503 if "not set" in error.message else 400, error.message)
        return await self._record(events, 0)

    async def preferences(self, request: Request) -> Response:
        token = request.path_params["token"]
        accepted = request.headers.get("accept-language", "")
        try:
            if request.method == "GET":
                return await run_in_threadpool(show_preferences, self._ws, token, accepted=accepted)
            form = {name: str(value) for name, value in (await request.form()).items()}
            answer = partial(answer_preferences, now=business_now(), accepted=accepted)
            return await run_in_threadpool(answer, self._ws, token, form)
        except DunningError as error:
            return PlainTextResponse(error.message, status_code=400)

    async def _record(self, events: list[Event], skipped: int) -> Response:
        if events:
            ws, received_at, now = self._ws, datetime.now(UTC), business_now()
            try:
                stored = self._recorder.together(record_together, (ws, events, received_at, now))
                new = await asyncio.wrap_future(stored)
            except Exception as error:  # the provider sends it again; nothing is lost
                return _problem(500, f"not recorded: {type(error).__name__}")
        else:
            new = 0
        return JSONResponse({"events": len(events), "new": new, "skipped": skipped})

    def _urls(self, request: Request) -> list[str]:
        """The addresses that the provider may have signed: the public one, and the one that we see."""
        tail = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        public = self._ws.company.public_url
        return [*([public.rstrip("/") + tail] if public else []), str(request.url)]


async def _body(request: Request) -> bytes | None:
    """The raw body; None where it is larger than MAX_BODY_BYTES."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
    body = b"".join(parts)
    request._body = body  # so that form() can read it too
    return body


def _fresh_seconds() -> float:
    return float(os.environ.get("DUNNING_WEBHOOK_FRESH_SECONDS") or sendgrid.FRESH_SECONDS)


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status)
