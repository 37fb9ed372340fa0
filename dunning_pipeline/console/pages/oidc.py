"""The two steps of an OpenID Connect login: to the provider, and back."""

import secrets

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk
from dunning_pipeline.console.oidc import Issuer, session_of
from dunning_pipeline.console.pages.entrance import NOBODY, login_page, set_cookie
from dunning_pipeline.errors import Refused

KEPT = "dunning_oidc"
LOGIN_SECONDS = 600
# of this process: a login that was begun before a restart is begun again
_signer = URLSafeTimedSerializer(secrets.token_urlsafe(32), salt="oidc-login")


def _issuer(request: Request) -> Issuer:
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None:
        raise HTTPException(404, "OpenID Connect is not configured")
    return issuer


async def begin(request: Request) -> Response:
    redirect = str(request.url_for("oidc_back"))
    address, kept = await run_in_threadpool(_issuer(request).begin, redirect)
    response = RedirectResponse(address, status_code=303)
    secure = request.url.scheme == "https"
    response.set_cookie(KEPT, _signer.dumps(kept), max_age=LOGIN_SECONDS, httponly=True, samesite="lax", secure=secure)
    return response


async def back(request: Request) -> Response:
    issuer = _issuer(request)
    try:
        kept = _signer.loads(request.cookies.get(KEPT, ""), max_age=LOGIN_SECONDS)
        claims = await run_in_threadpool(
            issuer.finish,
            kept,
            state=request.query_params.get("state", ""),
            code=request.query_params.get("code", ""),
        )
        token = await run_in_threadpool(session_of, request.app.state.engine, claims, role_claim=issuer.role_claim)
    except (BadSignature, Refused) as error:
        late = Refused("this login took too long, or was begun somewhere else")
        desk = Desk(request, request.app.state.workspace, request.app.state.engine, NOBODY)
        return login_page(desk, "/", error=error if isinstance(error, Refused) else late)
    response = RedirectResponse("/", status_code=303)
    response.delete_cookie(KEPT)
    set_cookie(request, response, token)
    return response


routes = [Route("/oidc/login", begin), Route("/oidc/back", back, name="oidc_back")]
