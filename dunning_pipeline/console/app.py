"""The console as an ASGI application: routes of all pages behind session, security headers and a rate limit."""

import pkgutil
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dunning_pipeline.console import access, pages, published
from dunning_pipeline.console.desk import Desk
from dunning_pipeline.console.jobs import Worker, take_back
from dunning_pipeline.console.oidc import issuer_from_environment
from dunning_pipeline.console.scope import teach_scopes
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.settings.workspace import Workspace

COOKIE = "dunning_session"
HERE = Path(__file__).parent
REQUESTS_PER_MINUTE = 600
LOGINS_PER_MINUTE = 10
REMEMBERED_CALLERS = 10_000

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
}


class Doorkeeper:
    """Finds the session's user, limits the rate, and puts the security headers and the time taken on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.seen: dict[tuple[str, bool], deque[float]] = defaultdict(deque)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        request = Request(scope)
        request.state.user, request.state.cpu_ms = None, 0.0
        is_static = request.url.path.startswith("/static/")
        if not is_static:
            token = request.cookies.get(COOKIE)
            request.state.user = await run_in_threadpool(access.user_of, request.app.state.engine, token)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                taken = f"page;dur={(time.perf_counter() - started) * 1000:.1f}"
                headers["Server-Timing"] = f"{taken}, cpu;dur={request.state.cpu_ms:.1f}"
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if is_static:
                    headers["Cache-Control"] = "public, max-age=86400"
            await send(message)

        if self._too_many(request):
            too_many = PlainTextResponse("Too many requests: wait a minute.", 429, {"Retry-After": "60"})
            await too_many(scope, receive, answer)
        else:
            await self.app(scope, receive, answer)

    def _too_many(self, request: Request) -> bool:
        is_login = request.method == "POST" and request.url.path == "/login"
        limit = LOGINS_PER_MINUTE if is_login else self._limit(request)
        # by person once somebody is known, so that an office behind one address does not slow itself down
        user: access.User | None = request.state.user
        who = user.user_id if user and not is_login else (request.client.host if request.client else "")
        now = time.monotonic()
        if len(self.seen) > REMEMBERED_CALLERS:
            self.seen = defaultdict(deque, {k: times for k, times in self.seen.items() if times[-1] > now - 60})
        times = self.seen[(who, is_login)]
        while times and times[0] < now - 60:
            times.popleft()
        times.append(now)
        return len(times) > limit

    @staticmethod
    def _limit(request: Request) -> int:
        return getattr(request.app.state, "requests_per_minute", REQUESTS_PER_MINUTE)


def build_app(
    workspace: Workspace, *, engine: Engine | None = None, requests_per_minute: int | None = None
) -> Starlette:
    """The application over one workspace; pages are the `routes` of every module in console.pages."""
    routes: list[Any] = [Mount("/static", StaticFiles(directory=HERE / "static"), name="static")]
    found = sorted(pkgutil.iter_modules(pages.__path__), key=lambda m: m.name)
    modules = [import_module(f"{pages.__name__}.{module.name}") for module in found]
    for module in modules:
        routes += module.routes
    for module in modules:
        routes += getattr(module, "last_routes", [])
    app = Starlette(
        routes=routes,
        middleware=[Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5), Middleware(Doorkeeper)],
        lifespan=_workers_beside,
        exception_handlers={HTTPException: _refusal, 500: _failure},
    )
    app.state.workspace = workspace
    app.state.engine = engine or open_ledger(workspace)
    teach_scopes(app.state.engine, workspace)
    app.state.requests_per_minute = requests_per_minute or REQUESTS_PER_MINUTE
    app.state.issuer = issuer_from_environment()
    return app


@asynccontextmanager
async def _workers_beside(app: Starlette) -> AsyncIterator[None]:
    """The lookups are made before the first page is asked for; the threads of the long actions live as long."""
    workspace, engine = app.state.workspace, app.state.engine
    await run_in_threadpool(published.first, workspace, "select 1")
    await run_in_threadpool(take_back, engine)
    workers = [Worker(workspace, engine, looks=looks) for looks in (False, True)]
    for worker in workers:
        worker.start()
    yield
    for worker in workers:
        worker.stop()


def _refusal(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    detail = getattr(error, "detail", "")
    user = getattr(request.state, "user", None)
    if user is None:
        return HTMLResponse(f"<!doctype html><title>{status}</title><p>{status}</p>", status_code=status)
    desk = Desk(request, request.app.state.workspace, request.app.state.engine, user)
    return desk.page("refusal.html", http_status=status, detail=detail, code=status)


def _failure(request: Request, error: Exception) -> Response:
    return HTMLResponse(
        "<!doctype html><title>Error</title><p>Something failed here; it is in the server's log. Nothing was lost.</p>",
        status_code=500,
    )


__all__ = ["COOKIE", "Route", "build_app"]
