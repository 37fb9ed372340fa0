"""What keeps the ledger from being written is told in a sentence, by the databases that really say it."""

import errno
import sqlite3
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from dunning_pipeline.cli.main import main
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.troubles import in_words
from dunning_pipeline.settings.workspace import Workspace
from tests.ledger.postgres import Server


def test_a_full_disk_is_told_in_a_sentence(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_ledger(workspace).connect() as connection:
        connection.exec_driver_sql("pragma max_page_count = 1")  # SQLite takes the pages that there are
    monkeypatch.setattr(
        "sys.argv", ["dunning", "--workspace", str(workspace.root), "send", "stop", "--reason", "x" * 60_000]
    )
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err == (
        "dunning: no space is left on the ledger's disk\n"
        "  → make room, then run it again: what may have left is never sent twice\n"
    )


def test_a_ledger_that_may_only_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    sqlite3.connect(file).execute("create table t (i integer)").connection.close()
    readonly = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as raised:
        readonly.execute("insert into t values (1)")
    readonly.close()
    told = in_words(raised.value)
    assert told is not None and told.message == "the ledger may not be written"


def test_a_ledger_server_that_is_down_is_told_and_worth_another_try() -> None:
    with pytest.raises(OperationalError) as raised:
        create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none").connect()
    told = in_words(raised.value)
    assert told is not None and told.retry == "later"
    assert told.message == "the ledger's server does not answer"


@pytest.mark.postgres
def test_a_user_whom_the_server_does_not_know_is_told(postgres_server: Server) -> None:
    url = make_url(postgres_server.fresh_database()).set(drivername="postgresql+psycopg", username="nobody")
    with pytest.raises(OperationalError) as raised:
        create_engine(url).connect()
    told = in_words(raised.value)
    assert told is not None and told.message == "the ledger's server does not know this user"


@pytest.mark.postgres
def test_a_database_that_is_gone_is_told_with_the_way_back(postgres_server: Server) -> None:
    url = make_url(postgres_server.fresh_database()).set(drivername="postgresql+psycopg", database="gone")
    with pytest.raises(OperationalError) as raised:
        create_engine(url).connect()
    assert str(in_words(raised.value)) == (
        "the ledger's server lets nobody into this database: it is not there, or closed\n"
        "  → correct DUNNING_LEDGER_URL, or `createdb` it anew, then `dunning ledger restore FILE`"
    )


def test_files_are_told_by_name_and_what_is_unknown_stays_as_it_is() -> None:
    assert str(in_words(OSError(errno.EROFS, "Read-only file system", "/srv/x"))) == (
        "Read-only file system (value: '/srv/x')"
    )
    told = in_words(OSError(errno.ENOSPC, "No space left on device"))
    assert told is not None and told.message == "no space is left on the disk"
    refused = duckdb.IOException('IO Error: Cannot open file "/srv/x/warehouse.duckdb": Read-only file system')
    told = in_words(refused)
    assert told is not None and told.message == "the workspace's folder can only be read"
    assert in_words(ValueError("something else")) is None


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select * from identity.account_rules", "schema"),
        ("select * from account_rules", "Table with name account_rules does not exist!"),
        ("select rule from (select 1 as x)", 'Referenced column "rule" not found'),
    ],
)
def test_tables_of_another_version_are_told_with_what_makes_them(sql: str, said: str) -> None:
    with duckdb.connect() as con, pytest.raises(duckdb.Error) as raised:
        con.execute(sql)
    told = in_words(raised.value)
    assert told is not None and "are not of this version: " in told.message and said in told.message
    assert "`dunning build`" in (told.remedy or "") and "dunning init" in (told.remedy or "")
