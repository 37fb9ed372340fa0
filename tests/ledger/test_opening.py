"""Opening, migrating and guarding the ledger, on both databases."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from alembic import command as alembic
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from dunning_pipeline.errors import InvalidInput, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.account_export import export_account
from dunning_pipeline.ledger.backup import backup
from dunning_pipeline.ledger.bulk import read_many
from dunning_pipeline.ledger.engine import dispose, open_ledger, open_ledger_url, reading
from dunning_pipeline.ledger.export import KEPT_BACK, export_to_warehouse
from dunning_pipeline.ledger.findings import raise_finding, resolve_findings_of
from dunning_pipeline.ledger.migrating import HEAD, alembic_config, current_revision
from dunning_pipeline.ledger.schema import (
    APPEND_ONLY,
    findings,
    metadata,
    runs,
    send_accounts,
    sends,
    statement_details,
    statements,
)
from dunning_pipeline.settings.workspace import Workspace

NOW = datetime(2026, 1, 10, 9, 30, tzinfo=UTC)


def put_statement(connection: Connection, key: str = "s1", **values: Any) -> None:
    """A minimal statement with one line."""
    if not connection.scalar(text("select 1 from runs where run_id = 'r'")):
        connection.execute(
            insert(runs).values(
                run_id="r",
                kind="dunning",
                dunning_date=NOW.date(),
                scope={},
                status="done",
                started_at=NOW,
                created_by="t",
            )
        )
    row = {
        "statement_id": key, "kind": "dunning", "status": "draft", "run_id": "r", "dunning_date": NOW.date(),
        "account_key": "s:1", "account_id": "1", "account_name": "ACME", "bill_group_key": "s:1", "unit_key": "s:1",
        "currency": "EUR", "language": "en", "template": "t", "channels": ["email"], "approval": "automatic",
        "attach_invoices": True, "do_not_send": False, "recipients": {}, "address": {}, "distribution": {}, "texts": {},
        "hand_edits": {}, "conflicts": {}, "principal_minor": 100, "credits_minor": 0, "interest_minor": 0,
        "fees_minor": 0, "please_pay_minor": 100, "row_version": 1, "created_at": NOW, "updated_at": NOW,
        "updated_by": "t", "draft_key": f"k-{key}",
    }  # fmt: skip
    connection.execute(insert(statements).values(**row | values))
    connection.execute(insert(statement_details).values(statement_id=key, position=1, type="invoice", amount_minor=100))


def test_the_migrations_make_exactly_the_declared_schema(ledger_workspace: Workspace) -> None:
    engine = open_ledger(ledger_workspace)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
    assert current_revision(engine) == HEAD


def test_head_names_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_a_ledger_of_an_earlier_release_keeps_its_sends_and_learns_of_digests(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    old = create_engine(url)
    with old.begin() as connection:
        alembic.upgrade(alembic_config(connection), "0003")
        connection.execute(
            insert(sends).values(
                send_key="k", kind="campaign", channel="email", account_key="s:1", recipients={"to": ["a@b.example"]},
                content_sha256="x", status="queued", due_at=NOW, send_now=False, attempts=0, queued_at=NOW,
                created_by="t",
            )
        )  # fmt: skip
    old.dispose()
    engine = open_ledger_url(url)
    assert current_revision(engine) == HEAD
    with reading(engine) as connection:
        assert connection.scalar(select(sends.c.status)) == "queued"
        assert connection.execute(select(send_accounts)).all() == []
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(insert(send_accounts).values(send_key="k", account_key="s:1"))
        connection.execute(update(send_accounts).values(account_key="s:2"))
    dispose(url)


def test_a_ledger_of_a_newer_release_is_left_alone(ledger_workspace: Workspace) -> None:
    with open_ledger(ledger_workspace).begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    dispose(ledger_workspace.ledger_url)
    with pytest.raises(Refused, match=r"newer release.*\n.*the way back is a backup"):
        open_ledger(ledger_workspace)


def test_other_databases_are_refused() -> None:
    with pytest.raises(InvalidInput, match="mysql"):
        open_ledger_url("mysql://localhost/x")


def test_many_who_open_it_first_find_one_ledger(ledger_workspace: Workspace) -> None:
    with ThreadPoolExecutor(6) as pool:
        engines = list(pool.map(lambda _: open_ledger(ledger_workspace), range(6)))
    assert {current_revision(engine) for engine in engines} == {HEAD}


def test_what_runs_on_reads_and_writes_what_another_process_restored(workspace: Workspace, tmp_path: Path) -> None:
    copy = backup(workspace, tmp_path / "copy")
    with open_ledger(workspace).begin() as connection:
        put_statement(connection)
    command = [sys.executable, "-m", "dunning_pipeline.cli.main", "ledger", "restore", str(copy), "--replace"]
    subprocess.run([*command, "--workspace", str(workspace.root)], check=True, capture_output=True, timeout=60)
    with open_ledger(workspace).begin() as connection:
        assert connection.scalars(select(statements.c.statement_id)).all() == []
        put_statement(connection)
    dispose(workspace.ledger_url)
    with reading(open_ledger(workspace)) as connection:
        assert len(connection.scalars(select(statements.c.statement_id)).all()) == 1


def test_sqlite_writes_durably_and_checks_foreign_keys(workspace: Workspace) -> None:
    with open_ledger(workspace).connect() as connection:
        answers = [connection.exec_driver_sql(f"pragma {name}").scalar() for name in
                   ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")]  # fmt: skip
    assert answers == ["wal", 2, 1, 30_000]


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_append_only_tables_refuse_update_and_delete(ledger_workspace: Workspace, table: str) -> None:
    engine = open_ledger(ledger_workspace)
    row = {
        column.name: NOW if "Instant" in repr(column.type) else {} if "Json" in repr(column.type)
        else NOW.date() if "DATE" in str(column.type) else 1 if "INT" in str(column.type)
        else True if "BOOL" in str(column.type) else "EUR"
        for column in metadata.tables[table].columns
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(metadata.tables[table]).values(**row))
    key = next(iter(metadata.tables[table].primary_key)).name
    commands = [f"update {table} set {key} = {key}", f"delete from {table}"]
    if engine.dialect.name == "postgresql":
        commands.append(f"truncate {table}")
    for command in commands:
        with pytest.raises(DBAPIError, match=r"never|append-only"), engine.begin() as connection:
            connection.execute(text(command))


def test_a_closed_statement_and_its_details_are_immutable(ledger_workspace: Workspace) -> None:
    engine = open_ledger(ledger_workspace)
    with engine.begin() as connection:
        put_statement(connection)
        connection.execute(update(statements).values(status="closed", number="D-1", draft_key=None, content={"a": 1}))
    forbidden = [
        "update statements set please_pay_minor = 1",
        "update statements set number = 'D-2'",
        "update statements set content = '{}'",
        "update statements set status = 'draft'",
        "update statements set status = 'deleted'",
        "delete from statements",
        "update statement_details set amount_minor = 1",
        "delete from statement_details",
        "insert into statement_details (statement_id, position, type, amount_minor) values ('s1', 2, 'fee', 1)",
    ]
    for command in forbidden:
        with pytest.raises(DBAPIError, match=r"immutable|never removed"), engine.begin() as connection:
            connection.execute(text(command))
    with engine.begin() as connection:
        connection.execute(update(statements).values(pdf_sha256="abc"))
        connection.execute(update(statements).values(status="voided", void_reason="wrong", voided_at=NOW))
    for command in ("update statements set status = 'closed'", "update statements set pdf_sha256 = 'other'"):
        with pytest.raises(DBAPIError, match="immutable"), engine.begin() as connection:
            connection.execute(text(command))


def test_the_ledger_comes_back_into_the_warehouse_typed(ledger_workspace: Workspace) -> None:
    engine = open_ledger(ledger_workspace)
    with engine.begin() as connection:
        put_statement(connection, content={"secret": True})
        audit.record(
            connection, actor="me", action="a", object_kind="x", object_id="1", after={"d": NOW.date()}, at=NOW
        )
    with duckdb.connect() as con:
        counts = export_to_warehouse(con, ledger_workspace)
        assert counts["statements"] == 1 and not set(counts) & KEPT_BACK
        row = con.execute(
            "select dunning_date, attach_invoices, principal_minor, channels, created_at, content from ops.statements"
        ).fetchall()
        assert row == [(date(2026, 1, 10), True, 100, '["email"]', datetime(2026, 1, 10, 9, 30), None)]
        assert json.loads(con.execute("select after from ops.audit").fetchall()[0][0]) == {"d": "2026-01-10"}
        with engine.begin() as connection:  # a second export sees what was committed after the first
            put_statement(connection, "s2", account_key="s:2")
        assert export_to_warehouse(con, ledger_workspace)["statements"] == 2
        assert export_to_warehouse(con, ledger_workspace, tables={"statements"}, accounts=["s:2"]) == {"statements": 1}


def test_what_is_read_past_sqlalchemy_first_is_of_the_same_view(ledger_workspace: Workspace) -> None:
    engine = open_ledger(ledger_workspace)
    with engine.begin() as connection:
        put_statement(connection)
    with reading(engine) as connection:
        asked = {"key": "statement_id", "values": ["s1", "s2"]}
        assert len(read_many(connection, statements, ["statement_id"], **asked)) == 1
        with engine.begin() as writing:
            put_statement(writing, "s2", account_key="s:2")
        assert connection.scalars(select(statements.c.statement_id)).all() == ["s1"]


def test_a_finding_is_raised_once_while_it_is_open(ledger_workspace: Workspace) -> None:
    def found(message: str) -> str:
        with open_ledger(ledger_workspace).begin() as connection:
            return raise_finding(
                connection, kind="k", object_kind="account", object_id="a", severity="warning", message=message, at=NOW
            )

    first = found("one")
    assert found("two") == first
    with open_ledger(ledger_workspace).begin() as connection:
        assert resolve_findings_of(connection, kind="k", object_id="a", by="me", at=NOW) == 1
    assert found("three") == first
    with reading(open_ledger(ledger_workspace)) as connection:
        [row] = connection.execute(findings.select()).all()
    assert (row.message, row.status, row.done_at) == ("three", "open", None)


def test_one_account_comes_into_a_scratch_database_as_the_whole_ledger_would(ledger_workspace: Workspace) -> None:
    with open_ledger(ledger_workspace).begin() as connection:
        put_statement(connection, content={"secret": True})
        put_statement(connection, "s2", account_key="s:2")
    with duckdb.connect() as whole, duckdb.connect() as part:
        export_to_warehouse(whole, ledger_workspace, accounts=["s:2"])
        counts = export_account(part, ledger_workspace, accounts=["s:2"], invoices=[])
        assert counts["statements"] == 1
        for table in counts:
            assert part.execute(f"describe ops.{table}").fetchall() == whole.execute(f"describe ops.{table}").fetchall()
            if table != "statement_details":  # there, the account's own rows alone
                rows = f"select * from ops.{table} order by all"
                assert part.execute(rows).fetchall() == whole.execute(rows).fetchall()
        assert part.execute("select distinct statement_id from ops.statement_details").fetchall() in ([("s2",)], [])
