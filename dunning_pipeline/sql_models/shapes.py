"""Which tables and views a database holds, and their columns: asked before something reads, replaces or copies them."""

import re

import duckdb

Columns = dict[str, str]
_PLAIN = re.compile(r"^[a-z_][a-z0-9_]*$")


def quoted(name: str) -> str:
    """A SQL identifier, in double quotes only where it needs them."""
    return name if _PLAIN.match(name) else '"' + name.replace('"', '""') + '"'


def table_exists(con: duckdb.DuckDBPyConnection, schema: str, table: str, catalog: str | None = None) -> bool:
    """Whether there is such a table or view in `catalog` (default: the current database)."""
    return bool(
        con.execute(
            """
            select 1 from information_schema.tables
            where table_catalog = coalesce(?, current_database()) and table_schema = ? and table_name = ?
            """,
            [catalog, schema, table],
        ).fetchall()
    )


def columns_of(con: duckdb.DuckDBPyConnection, schema: str, table: str, catalog: str | None = None) -> Columns:
    """Columns and types of a table or view; empty where it does not exist.

    Inside a transaction ask `table_exists` first: that a table is missing ends the transaction.
    """
    name = ".".join(quoted(part) for part in (catalog, schema, table) if part)
    try:
        # not duckdb_columns(): it binds every view of the database to answer for one table
        return {column: kind for column, kind, *_ in con.execute(f"describe {name}").fetchall()}
    except (duckdb.CatalogException, duckdb.BinderException):
        return {}
