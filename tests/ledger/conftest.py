"""Ledgers of both databases: SQLite always, PostgreSQL where Debian's server is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dunning_pipeline.ledger.engine import dispose
from dunning_pipeline.settings.workspace import Workspace
from tests.ledger.postgres import Server


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.start(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def ledger_workspace(
    request: pytest.FixtureRequest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A workspace whose ledger is on one of the two databases; the same tests run on both."""
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres_server")
        url = server.fresh_database()
        monkeypatch.setenv("DUNNING_LEDGER_URL", url)
    yield workspace
    dispose(workspace.ledger_url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
