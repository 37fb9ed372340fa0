"""Carries the ledger into the warehouse as `ops.<table>`, by Arrow: the ledger comes back as one more data stream."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
from sqlalchemy import BigInteger, Boolean, Column, Date, Integer, LargeBinary, Table
from sqlalchemy.engine import make_url

from dunning_pipeline.ledger.engine import open_ledger, sqlite_file
from dunning_pipeline.ledger.schema import metadata
from dunning_pipeline.ledger.types import Instant
from dunning_pipeline.settings.workspace import Workspace

# Credentials and half-done console work never leave the ledger.
KEPT_BACK = frozenset({"users", "sessions", "jobs"})
# Whole merge documents: large, personal, and needed by no model. Their columns are there, and null.
KEPT_BACK_COLUMNS = frozenset({("statements", "content"), ("sends", "document"), ("template_versions", "compiled")})


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
    counts = {}
    with _arrow_connection(ws.ledger_url) as ledger:
        for table in metadata.sorted_tables:
            if table.name not in KEPT_BACK and (tables is None or table.name in tables):
                counts[table.name] = _copy(con, ledger, table, accounts)
    return counts


@contextmanager
def _arrow_connection(url: str) -> Iterator[Any]:
    file = sqlite_file(url)
    if file is not None:
        import adbc_driver_sqlite.dbapi

        connection = adbc_driver_sqlite.dbapi.connect(str(file))
    else:
        import adbc_driver_postgresql.dbapi

        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        connection = adbc_driver_postgresql.dbapi.connect(plain)
    try:
        if file is None:
            with connection.cursor() as cursor:
                cursor.execute("set transaction isolation level repeatable read read only")
        yield connection
    finally:
        connection.close()


def _copy(con: duckdb.DuckDBPyConnection, ledger: Any, table: Table, accounts: Sequence[str] | None) -> int:
    with ledger.cursor() as cursor:
        cursor.execute(_source_query(table, accounts))
        stage = cursor.fetch_record_batch()
        con.register("_ledger_stage", stage)
        try:
            columns = ", ".join(f"{_typed(table, column)} as {_quoted(column)}" for column in table.columns)
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
    where = ""
    if accounts is not None and "account_key" in table.c:
        listed = ", ".join("'" + key.replace("'", "''") + "'" for key in accounts)
        where = f" where account_key in ({listed or 'null'})"
    return f"select {typing}, 1 as _is_typing union all select {names}, 0 from {table.name}{where}"


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


def _typed(table: Table, column: Column[Any]) -> str:
    name = _quoted(column)
    if isinstance(column.type, Instant):
        return f"cast({name} as timestamp)"
    if isinstance(column.type, Date):
        return f"cast({name} as date)"
    if isinstance(column.type, Boolean):
        return f"cast({name} as boolean)"
    if isinstance(column.type, BigInteger):
        return f"cast({name} as bigint)"
    if isinstance(column.type, Integer):
        return f"cast({name} as integer)"
    if isinstance(column.type, LargeBinary):
        return f"cast({name} as blob)"
    return f"cast({name} as varchar)"


def _quoted(column: Column[Any]) -> str:
    return f'"{column.name}"'
