"""OpenID Connect login by configuration: authorization code with PKCE, the id token verified against the issuer's keys.

DUNNING_OIDC_ISSUER, DUNNING_OIDC_CLIENT_ID, DUNNING_OIDC_CLIENT_SECRET switch it on; DUNNING_OIDC_ROLE_CLAIM (default
`dunning_role`) names the claim that holds viewer, collector, approver or admin.
"""

import os
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Engine, select

from dunning_pipeline.console import access
from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.schema import users

TIMEOUT_SECONDS = 10.0


@dataclass
class Issuer:
    """One OpenID provider, discovered at its first use."""

    address: str
    client_id: str
    client_secret: str
    role_claim: str

    @cached_property
    def metadata(self) -> dict[str, Any]:
        import httpx

        answer = httpx.get(f"{self.address}/.well-known/openid-configuration", timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        if found["issuer"].rstrip("/") != self.address:
            raise Refused("the OpenID provider calls itself by another name", remedy="correct DUNNING_OIDC_ISSUER")
        return found

    def client(self, redirect: str) -> Any:
        from authlib.integrations.httpx_client import OAuth2Client

        return OAuth2Client(
            self.client_id,
            self.client_secret,
            scope="openid profile email",
            redirect_uri=redirect,
            code_challenge_method="S256",
            timeout=TIMEOUT_SECONDS,
        )

    def begin(self, redirect: str) -> tuple[str, dict[str, str]]:
        """Where to send the browser, and what must be kept (signed) until it comes back."""
        kept = {"nonce": secrets.token_urlsafe(24), "verifier": secrets.token_urlsafe(48), "redirect": redirect}
        address, state = self.client(redirect).create_authorization_url(
            self.metadata["authorization_endpoint"], code_verifier=kept["verifier"], nonce=kept["nonce"]
        )
        return address, {**kept, "state": state}

    def finish(self, kept: dict[str, str], *, state: str, code: str) -> dict[str, Any]:
        """The claims of whoever came back. Raises Refused for a wrong state, nonce, signature, audience or issuer."""
        if not secrets.compare_digest(state, kept["state"]):
            raise Refused("this login was begun somewhere else", remedy="log in again")
        tokens = self.client(kept["redirect"]).fetch_token(
            self.metadata["token_endpoint"], code=code, code_verifier=kept["verifier"]
        )
        return self._verified(str(tokens.get("id_token") or ""), kept["nonce"])

    def _verified(self, id_token: str, nonce: str) -> dict[str, Any]:
        import httpx
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        keys = httpx.get(self.metadata["jwks_uri"], timeout=TIMEOUT_SECONDS).raise_for_status().json()
        try:
            token = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=["RS256", "ES256", "PS256", "EdDSA"])
            jwt.JWTClaimsRegistry(
                iss={"essential": True, "value": self.metadata["issuer"]},
                aud={"essential": True, "value": self.client_id},
                exp={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(token.claims)
        except (JoseError, ValueError) as error:
            raise Refused(f"the OpenID provider's answer cannot be trusted: {error}", remedy="log in again") from None
        return dict(token.claims)


def issuer_from_environment() -> Issuer | None:
    """The configured provider; None where OpenID Connect is not switched on."""
    address = os.environ.get("DUNNING_OIDC_ISSUER", "").rstrip("/")
    if not address:
        return None
    return Issuer(
        address,
        os.environ.get("DUNNING_OIDC_CLIENT_ID", ""),
        os.environ.get("DUNNING_OIDC_CLIENT_SECRET", ""),
        os.environ.get("DUNNING_OIDC_ROLE_CLAIM", "dunning_role"),
    )


def session_of(engine: Engine, claims: dict[str, Any], *, role_claim: str) -> str:
    """A session's token for these claims; somebody new with a role becomes a user, the role follows the claim.

    Raises Refused for somebody without a known role, and for a user who was made inactive here.
    """
    role = claims.get(role_claim)
    if role not in access.ROLES:
        raise Refused(f"you have no role here: the claim {role_claim} is {role!r}", remedy="ask an administrator")
    subject = f"{claims['iss']}|{claims['sub']}"
    with engine.begin() as connection:
        row = connection.execute(select(users).where(users.c.oidc_subject == subject)).mappings().first()
        if row is not None and not row["is_active"]:
            raise Refused("your access was ended", remedy="ask an administrator")
        if row is not None:
            connection.execute(users.update().where(users.c.user_id == row["user_id"]).values(role=role))
            return access.open_session(connection, row["user_id"])
        name = str(claims.get("name") or claims.get("email") or claims["sub"])[:200]
        user_id = access.add_user(connection, login=f"oidc:{subject}", name=name, role=role, password=None)
        connection.execute(users.update().where(users.c.user_id == user_id).values(oidc_subject=subject))
        return access.open_session(connection, user_id)
