"""OpenID Connect against a real provider on loopback: signed id tokens, PKCE, and everything that may be wrong."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlparse

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.testclient import TestClient

from dunning_pipeline.console.app import build_app
from dunning_pipeline.settings.workspace import Workspace


class Provider(BaseHTTPRequestHandler):
    key = RSAKey.generate_key(2048, {"kid": "one"})
    other_key = RSAKey.generate_key(2048, {"kid": "one"})
    address = ""
    challenge = ""
    claims: ClassVar[dict[str, Any]] = {}
    signed_by = key

    def do_GET(self) -> None:
        if self.path.endswith("openid-configuration"):
            names = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
            self._answer({"issuer": self.address, **{n: self.address + p for n, p in names.items()}})
        else:
            self._answer({"keys": [self.key.as_dict(private=False)]})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == type(self).challenge
        token = jwt.encode({"alg": "RS256", "kid": "one"}, type(self).claims, type(self).signed_by)
        self._answer({"access_token": "x", "token_type": "Bearer", "id_token": token})

    def _answer(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def client(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    Provider.address = f"http://127.0.0.1:{server.server_port}"
    Provider.signed_by = Provider.key
    monkeypatch.setenv("DUNNING_OIDC_ISSUER", Provider.address)
    monkeypatch.setenv("DUNNING_OIDC_CLIENT_ID", "console")
    monkeypatch.setenv("DUNNING_OIDC_CLIENT_SECRET", "secret")
    with TestClient(build_app(workspace)) as browser:
        yield browser
    server.shutdown()


def log_in(client: TestClient, *, state: str | None = None, **claims: Any) -> Any:
    there = client.get("/oidc/login", follow_redirects=False)
    asked = {name: values[0] for name, values in parse_qs(urlparse(there.headers["location"]).query).items()}
    Provider.challenge = asked["code_challenge"]
    plain = {"iss": Provider.address, "aud": "console", "sub": "42", "exp": int(time.time()) + 60, "name": "Ada"}
    Provider.claims = {**plain, "nonce": asked["nonce"], "dunning_role": "collector", **claims}
    return client.get(f"/oidc/back?code=abc&state={state or asked['state']}", follow_redirects=False)


def test_somebody_with_a_role_comes_in_and_the_role_follows_the_claim(client: TestClient) -> None:
    assert log_in(client).headers["location"] == "/"
    assert "Ada · collector" in client.get("/").text
    log_in(client, dunning_role="viewer")
    assert "Ada · viewer" in client.get("/").text


@pytest.mark.parametrize(
    "wrong",
    [
        {"dunning_role": None},
        {"dunning_role": "king"},
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"nonce": "replayed"},
        {"exp": 1},
        {"state": "forged"},
    ],
    ids=str,
)
def test_an_answer_that_is_not_for_this_login_is_refused(client: TestClient, wrong: dict[str, Any]) -> None:
    assert log_in(client, **wrong).status_code == 401
    assert client.get("/", follow_redirects=False).status_code == 303


def test_a_token_signed_by_somebody_else_is_refused(client: TestClient) -> None:
    Provider.signed_by = Provider.other_key
    assert log_in(client).status_code == 401


def test_without_configuration_there_is_no_such_login(workspace: Workspace) -> None:
    with TestClient(build_app(workspace)) as browser:
        assert browser.get("/oidc/login").status_code == 404
        assert "organisation" not in browser.get("/login").text
