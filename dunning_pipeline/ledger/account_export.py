"""Carries the ledger's rows of one account into a scratch database: what a single decision or explanation needs.

The whole ledger goes by Arrow (export.py); for a handful of rows loading the Arrow driver alone takes longer than this.
"""

from collections.abc import Collection, Sequence
from typing import Any

import duckdb
import orjson
from sqlalchemy import Boolean, Connection, LargeBinary, Table

from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.export import KEPT_BACK_COLUMNS, empty_table, typed
from dunning_pipeline.ledger.schema import metadata
from dunning_pipeline.settings.workspace import Workspace

# Tables that the decision reads; of the others an account needs no row.
_READ = frozenset(
    {
        "assignments", "blocks", "consents", "item_levels", "postings", "postponements", "process_versions", "promises",
        "sends", "statement_details", "statements", "stream_loads", "suppressions",
    }
)  # fmt: skip
_CHUNK = 10_000  # rows


def export_account(
    con: duckdb.DuckDBPyConnection,
    ws: Workspace,
    *,
    accounts: Sequence[str],
    invoices: Sequence[str],
    tables: Collection[str] | None = None,
) -> dict[str, int]:
    """Make `ops.<table>` of what the ledger says of these accounts and invoices (keys); rows per table.

    Columns and types are those of `export_to_warehouse`; tables that no decision reads (or not among `tables`) are
    left out.
    """
    con.execute("create schema if not exists ops")
    counts = {}
    with reading(open_ledger(ws)) as ledger:
        for table in metadata.sorted_tables:
            if table.name in _READ and (tables is None or table.name in tables):
                counts[table.name] = _copy(con, ledger, table, accounts, invoices)
    return counts


def _copy(
    con: duckdb.DuckDBPyConnection, ledger: Connection, table: Table, accounts: Sequence[str], invoices: Sequence[str]
) -> int:
    shape = orjson.dumps([{str(column.name): "VARCHAR" for column in table.columns}]).decode()
    columns = ", ".join(f'{typed(table, column)} as "{column.name}"' for column in table.columns)
    rows = f"select {columns} from (select unnest(from_json(?, '{shape}'), recursive := true))"
    result = ledger.exec_driver_sql(*_query(ledger, table, accounts, invoices))
    names = [str(column.name) for column in table.columns]  # not a subclass of str: orjson refuses those as keys
    con.execute(f"drop table if exists ops.{table.name}")
    con.execute(empty_table(table))  # most tables know nothing of an account, and need no more than this
    count = 0
    while found := result.fetchmany(_CHUNK):
        text = orjson.dumps([dict(zip(names, row, strict=True)) for row in found]).decode()
        con.execute(f"insert into ops.{table.name} {rows}", [text])
        count += len(found)
    return count


def _query(
    ledger: Connection, table: Table, accounts: Sequence[str], invoices: Sequence[str]
) -> tuple[str, tuple[Any, ...]]:
    """As text: SQLAlchemy would compile a dozen queries for each question."""
    is_sqlite = ledger.dialect.name == "sqlite"
    among = "in (select value from json_each(?))" if is_sqlite else "= any(%s)"
    columns = ", ".join(f'{_as_text(table, column)} as "{column.name}"' for column in table.columns)
    sql, keys = f"select {columns} from {table.name}", accounts
    if "account_key" in table.c:
        sql += f" where account_key {among}"
    elif table.name == "statement_details":
        sql += f" where statement_id in (select statement_id from statements where account_key {among})"
    elif "invoice_key" in table.c:
        sql, keys = f"{sql} where invoice_key {among}", invoices
    elif table.name == "blocks":
        sql, keys = f"{sql} where scope = 'bill_group' or target_key {among}", [*accounts, *invoices]
    else:
        return sql, ()
    return sql, (orjson.dumps(list(keys)).decode() if is_sqlite else list(keys),)


def _as_text(table: Table, column: Any) -> str:
    """The stored text of a value; numbers are read as such, JSON makes text of both."""
    if (table.name, column.name) in KEPT_BACK_COLUMNS or isinstance(column.type, LargeBinary):
        return "null"
    if isinstance(column.type, Boolean):
        return f'cast("{column.name}" as integer)'
    return f'cast("{column.name}" as varchar)'
