"""A ledger of an earlier release is brought to this one as a whole or not at all: killed half way it is as it was."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command as alembic
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.engine import open_ledger, open_ledger_url, reading, revision_of, sqlite_file
from dunning_pipeline.ledger.migrating import HEAD, alembic_config, current_revision
from dunning_pipeline.ledger.troubles import in_words
from dunning_pipeline.ledger.verifying import verify
from dunning_pipeline.settings.workspace import Workspace
from tests.ledger.earlier import at_revision, driver_url
from tests.ledger.postgres import Server

# Opens the ledger in a process of its own, which dies by kill -9 before the first statement that begins as told.
_KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from dunning_pipeline.ledger.engine import open_ledger_url

@event.listens_for(Engine, "before_cursor_execute")
def die(connection, cursor, statement, *rest):
    if " ".join(statement.lower().split()).startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

open_ledger_url(sys.argv[1])
"""
GUARDS = "the triggers that keep the record are there"


def test_the_changelog_tells_what_each_revision_brings() -> None:
    told = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")
    revisions = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    rows = re.findall(r"^\| ([\d, ]+) \|", told, re.M)
    assert revisions - {"0001"} == {revision for row in rows for revision in row.split(", ")}


@pytest.mark.parametrize(
    "before",
    ["create table homes", "alter table sends", "create trigger guard_sends_stay"],
    ids=lambda word: word[-14:],
)
def test_a_migration_that_is_killed_has_done_nothing_and_the_next_one_does_all(
    ledger_workspace: Workspace, before: str
) -> None:
    ws = ledger_workspace
    at_revision(ws, "0001")
    engine = create_engine(driver_url(ws))
    with engine.begin() as connection:
        connection.execute(text("insert into number_series (series, last_number) values ('dunning:2025', 7)"))
    engine.dispose()

    killed = subprocess.run([sys.executable, "-c", _KILLED, ws.ledger_url, before], capture_output=True, timeout=60)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert revision_of(ws.ledger_url) == "0001"
    assert current_revision(open_ledger(ws)) == HEAD
    with reading(open_ledger(ws)) as connection:
        assert connection.scalar(text("select last_number from number_series")) == 7
    assert verify(ws)[GUARDS] == []


def test_a_migration_that_somebody_keeps_out_says_so_and_waits_no_longer(
    ledger_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = ledger_workspace
    at_revision(ws, "0001")
    monkeypatch.setattr("dunning_pipeline.ledger.migrating.LOCK_WAIT_MS", 50)
    monkeypatch.setattr("dunning_pipeline.ledger.engine.BUSY_TIMEOUT_MS", 50)
    former = create_engine(driver_url(ws))
    with former.connect() as connection:
        if sqlite_file(ws.ledger_url) is not None:
            connection.connection.driver_connection.isolation_level = None
            connection.exec_driver_sql("begin immediate")
        connection.execute(text("update sends set attempts = 1"))
        with pytest.raises(OperationalError) as kept_out:
            open_ledger(ws)
    former.dispose()
    told = in_words(kept_out.value)
    assert told is not None and told.message == "another process keeps the ledger locked"
    assert revision_of(ws.ledger_url) == "0001"
    assert current_revision(open_ledger(ws)) == HEAD


def test_a_trigger_that_somebody_took_away_is_told(ledger_workspace: Workspace) -> None:
    ws = ledger_workspace
    assert not any(verify(ws).values())
    on = " on sends" if sqlite_file(ws.ledger_url) is None else ""
    with open_ledger(ws).begin() as connection:
        connection.execute(text(f"drop trigger guard_sends_stay{on}"))
    assert verify(ws)[GUARDS] == ["guard_sends_stay"]


def test_a_database_that_is_somebody_elses_is_not_made_a_ledger(ledger_workspace: Workspace) -> None:
    ws = ledger_workspace
    file = sqlite_file(ws.ledger_url)
    if file is not None:
        file.parent.mkdir(parents=True)
    shop = create_engine(driver_url(ws))
    with shop.begin() as connection:
        connection.execute(text("create table users (name varchar(10))"))
    shop.dispose()
    with pytest.raises(Refused, match="tables of somebody else that are called as the ledger's: users"):
        open_ledger(ws)


@pytest.mark.postgres
def test_who_may_not_change_the_ledger_is_told_who_may(postgres_server: Server) -> None:
    url = make_url(postgres_server.fresh_database()).set(drivername="postgresql+psycopg")
    owner = create_engine(url)
    with owner.begin() as connection:
        connection.execute(text("create role clerk_alone login"))
    guest = url.set(drivername="postgresql", username="clerk_alone").render_as_string()
    with pytest.raises(DBAPIError, match="permission denied for schema") as refused:
        open_ledger_url(guest)
    assert "may create some in its schema" in str(in_words(refused.value))
    with owner.begin() as connection:
        alembic.upgrade(alembic_config(connection), "0001")
        connection.execute(text("grant all on all tables in schema public to clerk_alone"))
    owner.dispose()
    with pytest.raises(DBAPIError, match="must be owner of") as refused:
        open_ledger_url(guest)
    assert "the user that owns the ledger's tables" in str(in_words(refused.value))
