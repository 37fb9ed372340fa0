"""Hands rows of Python to a table as lists: without Arrow, whose first array imports pandas for half a second."""

from collections.abc import Sequence
from typing import Any

import duckdb


def insert_rows(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[Any]]) -> None:
    """Append `rows`, whose values stand in the order of the table's columns; nothing happens without rows."""
    if rows:
        columns = [list(values) for values in zip(*rows, strict=True)]
        con.execute(f"insert into {table} select {', '.join('unnest(?)' for _ in columns)}", columns)
