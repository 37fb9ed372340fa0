"""A console over an empty ledger, with one user of each role; requests go through the real application."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import insert
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dunning_pipeline.console import access, jobs
from dunning_pipeline.console.app import build_app
from dunning_pipeline.ledger.engine import dispose, open_ledger, sqlite_file
from dunning_pipeline.ledger.schema import runs
from dunning_pipeline.settings.workspace import Workspace
from tests.conftest import ROOT, copy_shipped
from tests.console.world import EVIL, NOW, PEOPLE, Console, case, close_a_copy, publish

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


@pytest.fixture(scope="session")
def ledger_with_users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated ledger with one user of each role; hashing passwords is slow on purpose, so it is done once."""
    root = tmp_path_factory.mktemp("users")
    (root / "policies").mkdir()
    workspace = Workspace(root)
    with open_ledger(workspace).begin() as connection:
        for role in access.ROLES:
            access.add_user(connection, login=role, name=role.title(), role=role, password=PASSWORD)
    dispose(workspace.ledger_url)
    file = sqlite_file(workspace.ledger_url)
    assert file is not None
    return file


@pytest.fixture
def app(tmp_path: Path, ledger_with_users: Path) -> Iterator[Starlette]:
    """The console over a copy of that ledger; policies, templates and models are the shipped ones, to read only."""
    for folder in ("policies", "templates", "dbt_like_sql"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    workspace = Workspace(tmp_path)
    workspace.state.mkdir()
    shutil.copy(ledger_with_users, workspace.state / ledger_with_users.name)
    yield build_app(workspace, requests_per_minute=100_000)
    dispose(workspace.ledger_url)


@pytest.fixture
def browser(app: Starlette) -> Iterator[Person]:
    with TestClient(app) as client:
        yield Person(client)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """Two accounts, of Kim and of Lee, each with a draft, a send and a finding; Lee's names are scripts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUNNING_NOW", NOW.isoformat())
        patch.setattr(jobs, "run_next", lambda *_, **_more: False)  # what is started here waits
        root = tmp_path_factory.mktemp("console")
        copy_shipped(root)
        workspace = Workspace(root)
        publish(workspace)
        app = build_app(workspace, requests_per_minute=1_000_000)
        tokens, csrf = {}, {}
        with app.state.engine.begin() as connection:
            for login, scope in PEOPLE.items():
                role = login if login in access.ROLES else "approver"
                user = access.add_user(connection, login=login, name=EVIL, role=role, password=None, row_scope=scope)
                tokens[login] = access.open_session(connection, user)
            connection.execute(
                insert(runs).values(
                    run_id="r", kind="dunning", dunning_date=NOW.date(), scope={}, status="done", started_at=NOW,
                    created_by="t",
                )
            )  # fmt: skip
            for key, owner in (("s:kim", "Kim"), ("s:lee", "Lee")):
                case(connection, key, owner)
            close_a_copy(connection)
        for login, token in tokens.items():
            user = access.user_of(app.state.engine, token)
            assert user is not None
            csrf[login] = user.csrf_token
        with TestClient(app, raise_server_exceptions=True) as client:
            yield Console(app, workspace, client, tokens, csrf)
