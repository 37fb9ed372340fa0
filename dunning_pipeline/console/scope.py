"""Row scope: a collector with a scope sees only the accounts whose owner in the source is that name."""

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, false, or_, select
from starlette.exceptions import HTTPException

from dunning_pipeline.console import published
from dunning_pipeline.console.desk import Desk
from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.schema import findings, sends, statements
from dunning_pipeline.sql_models.snapshot import snapshot_file


def within_scope(desk: Desk, query: Select[Any], account_key: ColumnElement[Any]) -> Select[Any]:
    """`query` cut to the accounts that the desk's user may see; unchanged for users without a scope."""
    if desk.user.row_scope is None:
        return query
    keys = account_keys(desk)
    return query.where(account_key.in_(keys) if keys else false())


def needs_all_accounts(desk: Desk) -> None:
    """Raises 403 for a user with a row scope: what follows is about all accounts."""
    if desk.user.row_scope is not None:
        raise HTTPException(403, "this covers all accounts; your user sees only some")


def findings_within_scope(desk: Desk, connection: Connection, query: Select[Any]) -> Select[Any]:
    """Findings about accounts, bill groups, invoices, statements and sends in the user's scope."""
    if desk.user.row_scope is None:
        return query
    f, keys = findings.c, account_keys(desk)
    of_statements = within_scope(desk, select(statements.c.statement_id), statements.c.account_key)
    of_sends = within_scope(desk, select(sends.c.send_key), sends.c.account_key)
    about = connection.scalars(
        select(f.object_id).where(f.status == "open", f.object_kind.in_(("invoice", "bill_group"))).distinct()
    )
    owned = _owned_things(desk, list(about))
    return query.where(
        or_(
            and_(f.object_kind == "account", f.object_id.in_(keys)),
            and_(f.object_kind.in_(("invoice", "bill_group")), f.object_id.in_([*owned, *keys])),
            and_(f.object_kind == "statement", f.object_id.in_(of_statements)),
            and_(f.object_kind == "send", f.object_id.in_(of_sends)),
        )
    )


def _owned_things(desk: Desk, keys: list[str]) -> list[str]:
    sql = """
        with things as (
            select invoice_key as key, account_key from data_model.invoices
            union all select bill_group_key, account_key from data_model.bill_groups
        )
        select distinct things.key from things join data_model.accounts using (account_key)
        where accounts.owner = $owner and things.key in (select unnest($keys))
    """
    found = published.rows(desk.workspace, sql, {"owner": desk.user.row_scope, "keys": keys}) if keys else []
    return [row["key"] for row in found]


def account_keys(desk: Desk) -> tuple[str, ...]:
    """The account keys in the user's scope, from the published snapshot; none while nothing is published."""
    try:
        snapshot = str(snapshot_file(desk.workspace))
    except NotThere:
        return ()
    return _owned(snapshot, desk.user.row_scope or "")


@lru_cache(maxsize=256)
def _owned(snapshot: str, owner: str) -> tuple[str, ...]:
    import duckdb

    with duckdb.connect(snapshot, read_only=True) as connection:
        rows = connection.execute("select account_key from data_model.accounts where owner = ?", [owner]).fetchall()
    return tuple(row[0] for row in rows)
