"""Login, logout and change of password."""

from collections.abc import Sequence
from urllib.parse import urlparse

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dunning_pipeline.console import access
from dunning_pipeline.console.access import User
from dunning_pipeline.console.desk import UNSEEN, Desk, allowed, given_back
from dunning_pipeline.errors import DunningError, Refused

COOKIE = "dunning_session"
NOBODY = User(user_id="", login="", name="", role="viewer", language=None, row_scope=None, must_change_password=False)


async def login(request: Request) -> Response:
    desk = Desk(request, request.app.state.workspace, request.app.state.engine, NOBODY)
    target = _own_path(request.query_params.get("next"))
    if request.method == "GET":
        return login_page(desk, target)
    if not same_origin(request):
        return login_page(desk, target, error=Refused("the form came from another site"), http_status=403)
    desk.form = await request.form()
    target = _own_path(desk.typed("next"))
    try:
        token = await run_in_threadpool(
            access.log_in, desk.engine, login=desk.typed("login"), password=str(desk.form.get("password") or "")
        )
    except DunningError as error:
        return login_page(desk, target, error=error, typed_login=desk.typed("login"))
    response = RedirectResponse(target, status_code=303)
    set_cookie(request, response, token)
    return response


def session_ended(request: Request, form: FormData) -> Response:
    """The login, with what somebody typed into a form and sent after their session had ended: nobody types it twice."""
    desk = Desk(request, request.app.state.workspace, request.app.state.engine, NOBODY, form)
    page = urlparse(request.headers.get("referer", ""))
    target = page.path + (f"?{page.query}" if page.query else "") if page.netloc == request.headers.get("host") else "/"
    error = Refused(
        "your session has ended, and nothing was saved",
        remedy="copy what you typed, log in and send it again; the login leads back to its page",
    )
    typed = [(name, value) for name, value in given_back(form) if value.strip() and name not in UNSEEN]
    return login_page(desk, _own_path(target), error=error, typed=typed)


def login_page(
    desk: Desk,
    target: str,
    *,
    error: DunningError | None = None,
    typed_login: str = "",
    typed: Sequence[tuple[str, str]] = (),
    http_status: int = 401,
) -> Response:
    """The login, which leads to `target`; with an `error`, and what was `typed` into a form whose session had ended."""
    status = http_status if error else 200
    return desk.page("login.html", http_status=status, target=target, error=error, typed_login=typed_login, typed=typed)


@allowed("viewer")
def logout(desk: Desk) -> Response:
    access.log_out(desk.engine, desk.request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(COOKIE)
    return response


@allowed("viewer")
def password(desk: Desk) -> Response:
    if desk.request.method == "GET":
        return desk.page("password.html", error=None)
    try:
        if desk.form.get("new") != desk.form.get("again"):
            raise access.InvalidInput("the two new passwords differ")
        token = access.change_password(
            desk.engine, user=desk.user, old=str(desk.form.get("old") or ""), new=str(desk.form.get("new") or "")
        )
    except DunningError as error:
        return desk.page("password.html", http_status=422, error=error)
    desk.user = access.user_of(desk.engine, token) or desk.user  # the notice is for the new session
    response = desk.go("/", desk.wording.text("Your password is changed."))
    set_cookie(desk.request, response, token)
    return response


def set_cookie(request: Request, response: Response, token: str) -> None:
    response.set_cookie(
        COOKIE,
        token,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        max_age=access.SESSION_HOURS * 3600,
    )


def _own_path(target: str | None) -> str:
    """A path of this console, or /: never another host (open redirect)."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or urlparse(target).netloc:
        return "/"
    return target


def same_origin(request: Request) -> bool:
    origin = request.headers.get("origin")
    return origin is None or urlparse(origin).netloc == request.headers.get("host")


routes = [
    Route("/login", login, methods=["GET", "POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/password", password, methods=["GET", "POST"]),
]
