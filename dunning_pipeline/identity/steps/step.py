"""What a step is: the table it makes and the SELECT that makes it, in SQL that DuckDB and Spark read alike.

The subset: `||` (never concat: a missing part must make the whole key missing), levenshtein, md5, no hash(), no lists, no
positional string indexing, no QUALIFY. Filters on guarded values stand before the self-joins.
"""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from typing import NamedTuple

WORK = "identity_work"  # database in memory of the tables between the steps


class Step(NamedTuple):
    table: str
    sql: str


def text(value: str) -> str:
    """A SQL string literal."""
    return "'" + value.replace("'", "''") + "'"
