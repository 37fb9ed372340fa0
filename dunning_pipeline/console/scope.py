"""Row scope: a collector with a scope sees only the accounts whose owner in the source is that name."""

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, false

from dunning_pipeline.console.desk import Desk


def within_scope(desk: Desk, query: Select[Any], account_key: ColumnElement[Any]) -> Select[Any]:
    """`query` cut to the accounts that the desk's user may see; unchanged for users without a scope."""
    if desk.user.row_scope is None:
        return query
    keys = account_keys(desk)
    return query.where(account_key.in_(keys) if keys else false())


def account_keys(desk: Desk) -> tuple[str, ...]:
    """The account keys in the user's scope, from the published snapshot."""
    from dunning_pipeline.sql_models.snapshot import snapshot_file

    return _owned(str(snapshot_file(desk.workspace)), desk.user.row_scope or "")


@lru_cache(maxsize=256)
def _owned(snapshot: str, owner: str) -> tuple[str, ...]:
    import duckdb

    with duckdb.connect(snapshot, read_only=True) as connection:
        rows = connection.execute("select account_key from data_model.accounts where owner = ?", [owner]).fetchall()
    return tuple(row[0] for row in rows)
