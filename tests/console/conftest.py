"""A console over an empty ledger, with one user of each role; requests go through the real application."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dunning_pipeline.console import access
from dunning_pipeline.console.app import build_app
from dunning_pipeline.settings.workspace import Workspace

PASSWORD = "correct horse battery staple"


@dataclass
class Person:
    """Somebody with a browser: keeps cookies and takes the CSRF token from the page, as a form does."""

    client: TestClient

    def log_in(self, login: str, password: str = PASSWORD) -> "Person":
        answer = self.client.post("/login", data={"login": login, "password": password}, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return self

    @property
    def csrf(self) -> str:
        page = self.client.get("/").text
        return page.split('name="csrf_token" value="')[1].split('"')[0]

    def post(self, path: str, **fields: str):  # type: ignore[no-untyped-def]
        return self.client.post(path, data={"csrf_token": self.csrf, **fields}, follow_redirects=False)


@pytest.fixture
def app(workspace: Workspace) -> Starlette:
    application = build_app(workspace, requests_per_minute=100_000)
    with application.state.engine.begin() as connection:
        for role in access.ROLES:
            access.add_user(connection, login=role, name=role.title(), role=role, password=PASSWORD)
    return application


@pytest.fixture
def browser(app: Starlette) -> Iterator[Person]:
    with TestClient(app) as client:
        yield Person(client)
