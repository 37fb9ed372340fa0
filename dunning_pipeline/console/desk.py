"""What one request has on its desk: the workspace, the ledger, the user, the form, and how to answer with a page."""

import functools
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, Engine
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dunning_pipeline.console import notices
from dunning_pipeline.console.access import User, instant_of_access
from dunning_pipeline.console.remedies import for_clerk
from dunning_pipeline.console.sentences import fact, said
from dunning_pipeline.console.templates import page_templates
from dunning_pipeline.console.turns import Turns
from dunning_pipeline.console.wording import LANGUAGES, Wording
from dunning_pipeline.errors import DunningError, InvalidInput, NotThere
from dunning_pipeline.ledger import audit
from dunning_pipeline.settings.clock import business_now, is_test_clock
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.snapshot import POINTER

LONGEST_FIELD = 20_000
LONGEST_LINE = 2_000
LONGEST_KEPT = 200_000  # bytes of a form that is given back after its session has ended
REMEMBERED_SECONDS = 365 * 86_400  # what somebody chose for the pages: their language, their keys
TURNS = Turns()
# what a form carries for itself: given back unseen when the form is shown again
UNSEEN = (
    "action",
    "which",
    "row_version",
    "confirm",
    "statement_id",
    "finding_id",
    "block_id",
    "posting_id",
    "promise_id",
    "verdict",
    "seen",
    "pair",
    "same",
    "decision_id",
    "back",
)


@dataclass
class Desk:
    request: Request
    workspace: Workspace
    engine: Engine
    user: User
    form: FormData = field(default_factory=FormData)

    @property
    def now(self) -> datetime:
        return business_now()

    @property
    def real_now(self) -> datetime:
        """The real clock, which lock-outs follow."""
        return instant_of_access()

    @property
    def today(self) -> Any:
        return self.now.astimezone(self.workspace.company.zone).date()

    @property
    def wording(self) -> Wording:
        asked = self.request.query_params.get("language") or self.request.cookies.get("language")
        return Wording(asked or self.user.language or self.workspace.company.default_language)

    @property
    def has_keys(self) -> bool:
        """Whether single letters do something: who speaks to the computer, or presses keys unmeant, switches it off."""
        return (self.asked("keys") or self.request.cookies.get(self._keys_cookie)) != "off"

    @property
    def _keys_cookie(self) -> str:
        return f"keys_{self.user.user_id}"

    @property
    def is_published(self) -> bool:
        """Whether there is a snapshot to read accounts, segments and reports from."""
        return (self.workspace.serving / POINTER).is_file()

    def whole(self, text: str, *, most: int = 1_000_000) -> int | None:
        """Digits as a number of at most `most`; None for anything else."""
        return min(int(text), most) if text.isdecimal() and len(text) < 12 else None

    def asked(self, name: str, default: str = "") -> str:
        """A query parameter, trimmed."""
        return (self.request.query_params.get(name) or default).strip()

    def typed(self, name: str, default: str = "") -> str:
        """A form field, trimmed."""
        value = self.form.get(name)
        return value.strip() if isinstance(value, str) else default

    def page(self, template: str, *, http_status: int = 200, **values: Any) -> HTMLResponse:
        """The page of a template, with what every page shows around it."""
        wording = self.wording
        notice = notices.waiting(self.request, self.user)
        shown = page_templates(wording.language).get_template(template)
        text = shown.render(
            desk=self,
            user=self.user,
            company=self.workspace.company,
            csrf=self.user.csrf_token,
            path=self.request.url.path,
            query=self.request.query_params,
            t=wording.text,
            money=wording.money,
            amount=wording.amount,
            day=wording.day,
            month=wording.month,
            moment=functools.partial(wording.moment, zone=self.workspace.company.zone),
            number=wording.number,
            badge=wording.badge,
            listed=wording.listed,
            act=wording.act,
            said=lambda sentence: said(sentence, wording.language) if sentence else "",
            remedy=lambda sentence: said(for_clerk(sentence), wording.language),
            fact=lambda value, name="", currency=None: fact(value, name, currency, wording),
            language=wording.language,
            link=self.link,
            notice=notice,
            now=self.now,
            test_clock=is_test_clock(),
            **values,
        )
        answer = HTMLResponse(text, status_code=http_status)
        if notice:
            notices.forget(answer)
        if self.asked("language") in LANGUAGES:  # chosen once, it stays
            answer.set_cookie(
                "language", self.asked("language"), max_age=REMEMBERED_SECONDS, httponly=True, samesite="lax"
            )
        if self.user.user_id and self.asked("keys") in ("on", "off"):
            answer.set_cookie(
                self._keys_cookie, self.asked("keys"), max_age=REMEMBERED_SECONDS, httponly=True, samesite="lax"
            )
        return answer

    def link(self, **changes: Any) -> str:
        """This page's address with some query parameters changed (None removes one)."""
        kept = {k: v for k, v in self.request.query_params.items() if k not in ("language", "keys")}
        kept.update(changes)
        return self.request.url.path + "?" + urlencode({k: v for k, v in kept.items() if v not in (None, "")})

    def record(
        self, action: str, object_kind: str, object_id: str, *, connection: Connection | None = None, **more: Any
    ) -> None:
        """Write an act of this user to the audit where the operation does not do it itself: in the transaction that
        does it, or in one of its own."""
        with self.engine.begin() if connection is None else nullcontext(connection) as writing:
            audit.record(
                writing,
                actor=self.user.login,
                action=action,
                object_kind=object_kind,
                object_id=object_id,
                at=self.now,
                **more,
            )

    def go(self, path: str, notice: str | None = None) -> RedirectResponse:
        """Redirect (303) to a path of this console, with a notice shown there once."""
        if not path.startswith("/") or path.startswith(("//", "/\\")):
            path = "/"
        answer = RedirectResponse(path, status_code=303)
        if notice:
            notices.keep(answer, notice, request=self.request, user=self.user)
        return answer


Handler = Callable[[Desk], Response]


def allowed(role: str) -> Callable[[Handler], Callable[[Request], Any]]:
    """An endpoint for users of `role` and above: session, forced password change, CSRF, errors shown as pages."""

    def wrap(handler: Handler) -> Callable[[Request], Any]:
        @functools.wraps(handler)
        async def endpoint(request: Request) -> Response:
            user: User | None = request.state.user
            if user is None:
                return await _to_login(request)
            if user.must_change_password and request.url.path not in ("/password", "/logout"):
                return RedirectResponse("/password", status_code=303)
            if not user.may(role):
                raise HTTPException(403, f"this needs the role {role}; you are {user.role}")
            form = await request.form(max_files=4, max_fields=5000) if request.method == "POST" else FormData()
            if request.method == "POST" and not _same_token(form.get("csrf_token"), user.csrf_token):
                raise HTTPException(403, "the form's security token is missing or old; load the page again")
            desk = Desk(request, request.app.state.workspace, request.app.state.engine, user, form)
            return await run_in_threadpool(_in_turn, handler, desk)

        return endpoint

    return wrap


async def _to_login(request: Request) -> Response:
    """The login, and then the page that was asked for; of a form that was sent, the page that it stands on."""
    from dunning_pipeline.console.pages import entrance

    length = request.headers.get("content-length", "")
    is_form = request.method == "POST" and length.isdigit() and int(length) <= LONGEST_KEPT  # of nobody, not more
    if is_form and "origin" in request.headers and entrance.same_origin(request):
        return entrance.session_ended(request, await request.form(max_files=4, max_fields=5000))
    target = str(request.url.replace(scheme="", netloc="")) if request.method == "GET" else "/"
    return RedirectResponse("/login?" + urlencode({"next": target}), status_code=303)


def _in_turn(handler: Handler, desk: Desk) -> Response:
    with TURNS.taken():
        return _answered(handler, desk)


def _answered(handler: Handler, desk: Desk) -> Response:
    started = time.thread_time()
    try:
        _check_texts(desk.form)
        return handler(desk)
    except DunningError as error:
        return problem(desk, error)
    except HTTPException as missing:
        if missing.status_code != 404 or desk.request.method != "POST":
            raise
        gone = NotThere(missing.detail, remedy="somebody may have deleted it; what you typed is below to copy")
        return problem(desk, gone)
    finally:
        desk.request.state.cpu_ms = (time.thread_time() - started) * 1000


def _check_texts(form: FormData) -> None:
    """Raises InvalidInput for a text that no field of ours is meant to hold."""
    for name, value in form.multi_items():
        if not isinstance(value, str) or name in ("content", "seen"):
            continue
        longest = LONGEST_LINE if name in ("reason", "name", "note", "login", "row_scope") else LONGEST_FIELD
        if len(value) > longest:
            raise InvalidInput(f"{name.replace('_', ' ')} is too long: {len(value)} characters", remedy="shorten it")
        if "\x00" in value:
            raise InvalidInput(f"{name.replace('_', ' ')} holds a character that cannot be stored")


def problem(desk: Desk, error: DunningError) -> Response:
    """The error as a page that says what to do, and gives back what was typed."""
    status = 404 if isinstance(error, NotThere) else 409 if error.retry == "later" else 422
    return desk.page("problem.html", http_status=status, error=error, typed=given_back(desk.form), unseen=UNSEEN)


def given_back(form: FormData) -> list[tuple[str, str]]:
    """What was typed into a form, its secrets left out."""
    secrets = ("csrf_token", "password", "old", "new", "again")
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str) and name not in secrets]


def _same_token(given: Any, expected: str) -> bool:
    import hmac

    return isinstance(given, str) and bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


def as_rows(result: Any) -> list[Mapping[str, Any]]:
    return [dict(row) for row in result.mappings()]
