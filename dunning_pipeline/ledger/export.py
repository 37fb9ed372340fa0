"""Carries the ledger into the warehouse as `ops.<table>`, by Arrow: the ledger comes back as one more data stream."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import BigInteger, Boolean, Column, Date, Integer, LargeBinary, Table
from sqlalchemy.engine import make_url

from dunning_pipeline.ledger.engine import open_ledger, sqlite_file
from dunning_pipeline.ledger.schema import metadata
from dunning_pipeline.ledger.types import Instant
from dunning_pipeline.settings.scratch import scratch_folder
from dunning_pipeline.settings.workspace import Workspace

# Credentials, half-done console work and what tells a ledger from its copies never leave the ledger.
KEPT_BACK = frozenset({"users", "sessions", "jobs", "homes"})
# Whole merge documents: large, personal, and needed by no model. Their columns are there, and null.
KEPT_BACK_COLUMNS = frozenset({("statements", "content"), ("sends", "document"), ("template_versions", "compiled")})

_WAREHOUSE_TYPES: Sequence[tuple[type, str]] = (
    (Instant, "timestamp"), (Date, "date"), (Boolean, "boolean"), (BigInteger, "bigint"), (Integer, "integer"),
    (LargeBinary, "blob"),
)  # fmt: skip


def export_to_warehouse(
    con: duckdb.DuckDBPyConnection,
    ws: Workspace,
    *,
    tables: Collection[str] | None = None,
    accounts: Sequence[str] | None = None,
) -> dict[str, int]:
    """Replace `ops.<table>` in `con` by the ledger's rows, all read in one transaction; rows per table.

    Columns keep their names; instants become TIMESTAMP in UTC, dates DATE, JSON stays text. `tables` limits the
    export (default: all but credentials), `accounts` (account keys) keeps only their rows in tables with an
    `account_key`.
    """
    open_ledger(ws)
    con.execute("create schema if not exists ops")
    chosen = [
        table
        for table in metadata.sorted_tables
        if table.name not in KEPT_BACK and (tables is None or table.name in tables)
    ]
    with _arrow_connection(ws, chosen, accounts) as ledger:
        return {table.name: _copy(con, ledger, table, accounts) for table in chosen}


@contextmanager
def _arrow_connection(ws: Workspace, chosen: Sequence[Table], accounts: Sequence[str] | None) -> Iterator[Any]:
    """An ADBC connection on one consistent view of the chosen tables.

    Its low-level interface: the DB-API one loads pandas and polars, half a second of every command that decides.
    """
    from adbc_driver_manager import AdbcConnection

    file = sqlite_file(ws.ledger_url)
    if file is None:
        import adbc_driver_postgresql

        plain = make_url(ws.ledger_url).set(drivername="postgresql").render_as_string(hide_password=False)
        with adbc_driver_postgresql.connect(plain) as database, AdbcConnection(database) as connection:
            connection.set_autocommit(False)
            with _batches(connection, "set transaction isolation level repeatable read read only"):
                pass
            yield connection
        return
    import adbc_driver_sqlite

    with scratch_folder(ws.state, "export-") as folder:
        copy = folder / "ledger.sqlite"
        _private_copy(ws, copy, chosen, accounts)
        with adbc_driver_sqlite.connect(str(copy)) as database, AdbcConnection(database) as connection:
            yield connection


@contextmanager
def _batches(connection: Any, query: str) -> Iterator[Any]:
    """What a query yields, as a reader of Arrow's record batches."""
    from adbc_driver_manager import AdbcStatement
    from pyarrow import RecordBatchReader

    with AdbcStatement(connection) as statement:
        statement.set_sql_query(query)
        handle, _ = statement.execute_query()
        yield RecordBatchReader.from_stream(handle)


def _private_copy(ws: Workspace, copy: Path, chosen: Sequence[Table], accounts: Sequence[str] | None) -> None:
    """Copy the tables to a file of their own, by SQLite itself.

    The Arrow driver brings a second SQLite library, and two of them on one file in one process cancel each other's
    locks (https://sqlite.org/howtocorrupt.html, 2.2.1): commits were lost in a test of 2026-11. So it reads this copy.
    """
    with open_ledger(ws).connect() as ledger:
        driver = ledger.connection.driver_connection
        assert driver is not None
        driver.execute("attach ? as stage", (str(copy),))
        try:
            driver.execute("pragma stage.journal_mode = off")
            driver.execute("pragma stage.synchronous = off")
            driver.execute("begin")
            for table in chosen:
                names = ", ".join(f"{_read(table, column)} as {_quoted(column)}" for column in table.columns)
                driver.execute(
                    f"create table stage.{table.name} as select {names} from main.{table.name}{_only(table, accounts)}"
                )
            driver.execute("commit")
        finally:
            if driver.in_transaction:
                driver.execute("rollback")
            driver.execute("detach stage")


def _copy(con: duckdb.DuckDBPyConnection, ledger: Any, table: Table, accounts: Sequence[str] | None) -> int:
    with _batches(ledger, _source_query(table, accounts)) as stage:
        con.register("_ledger_stage", stage)
        try:
            columns = ", ".join(f"{typed(table, column)} as {_quoted(column)}" for column in table.columns)
            con.execute(
                f"create or replace table ops.{table.name} as select {columns} from _ledger_stage where not _is_typing"
            )
        finally:
            con.unregister("_ledger_stage")
    # fetchall, because a result that is not read to its end keeps the connection busy (DuckDB 2)
    [(count,)] = con.execute(f"select count(*) from ops.{table.name}").fetchall()
    return int(count)


def _source_query(table: Table, accounts: Sequence[str] | None) -> str:
    """All rows, after one typing row: SQLite's driver learns a column's type from the first values that it sees."""
    typing = ", ".join(_typing_value(column) for column in table.columns)
    names = ", ".join(_read(table, column) for column in table.columns)
    return f"select {typing}, 1 as _is_typing union all select {names}, 0 from {table.name}{_only(table, accounts)}"


def _only(table: Table, accounts: Sequence[str] | None) -> str:
    if accounts is None or "account_key" not in table.c:
        return ""
    listed = ", ".join("'" + key.replace("'", "''") + "'" for key in accounts)
    return f" where account_key in ({listed or 'null'})"


def _typing_value(column: Column[Any]) -> str:
    number = isinstance(column.type, Integer | BigInteger | Boolean)
    return f"{0 if number else chr(39) * 2} as {_quoted(column)}"


def _read(table: Table, column: Column[Any]) -> str:
    if (table.name, column.name) in KEPT_BACK_COLUMNS:
        return "null"
    if isinstance(column.type, Boolean):
        return f"cast({_quoted(column)} as integer)"
    if isinstance(column.type, Date):
        return f"cast({_quoted(column)} as varchar)"
    return _quoted(column)


def empty_table(table: Table) -> str:
    """SQL that makes `ops.<table>` without a row where it is not there yet, with the types of the export."""
    columns = ", ".join(f"{_quoted(column)} {_warehouse_type(column)}" for column in table.columns)
    return f"create table if not exists ops.{table.name} ({columns})"


def typed(table: Table, column: Column[Any]) -> str:
    """The column as the warehouse has it, from the text or number that the ledger stores."""
    return f"cast({_quoted(column)} as {_warehouse_type(column)})"


def _warehouse_type(column: Column[Any]) -> str:
    for kind, name in _WAREHOUSE_TYPES:
        if isinstance(column.type, kind):
            return name
    return "varchar"


def _quoted(column: Column[Any]) -> str:
    return f'"{column.name}"'
