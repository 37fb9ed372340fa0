"""What is told once after an act: it goes to the next page in a short-lived cookie that its session has signed.

A text in the address could be written by anybody who sends a link; nobody but the server knows a session's key.
"""

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from dunning_pipeline.console.access import User

COOKIE = "dunning_notice"
SECONDS = 60
LONGEST = 1_000  # a browser drops a cookie above 4 kB


def keep(response: Response, text: str, *, request: Request, user: User) -> None:
    """Let the next page of this session tell `text`."""
    secure = request.url.scheme == "https"
    signed = _signer(user).dumps(text[:LONGEST])
    response.set_cookie(COOKIE, signed, max_age=SECONDS, httponly=True, samesite="lax", secure=secure)


def waiting(request: Request, user: User) -> str:
    """The text that this page has to tell; empty where there is none, or where another session or nobody signed it."""
    # a part of a page that is fetched again every second must not take it away from the page that follows
    if COOKIE not in request.cookies or not user.csrf_token or "hx-request" in request.headers:
        return ""
    try:
        return str(_signer(user).loads(request.cookies[COOKIE], max_age=SECONDS))
    except BadSignature:
        return ""


def forget(response: Response) -> None:
    response.delete_cookie(COOKIE)


def _signer(user: User) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(user.csrf_token, salt="notice")
