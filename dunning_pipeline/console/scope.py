"""Row scope: a collector with a scope sees only the accounts whose owner in the source is that name."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Engine,
    Select,
    String,
    and_,
    any_,
    cast,
    event,
    func,
    or_,
    select,
)
from starlette.exceptions import HTTPException

from dunning_pipeline.console import published
from dunning_pipeline.console.desk import Desk
from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.schema import findings, send_accounts, sends, statements
from dunning_pipeline.settings.workspace import Workspace

FEW = 1_000  # accounts: up to here their rows are fetched by index, above it every row of a list is asked


def within_scope(desk: Desk, query: Select[Any], account_key: ColumnElement[Any]) -> Select[Any]:
    """`query` cut to the accounts that the desk's user may see; unchanged for users without a scope."""
    return query if desk.user.row_scope is None else query.where(_in_scope(desk, account_key))


def sends_within_scope(desk: Desk, query: Select[Any]) -> Select[Any]:
    """`query` of sends cut to those that say something of an account that the desk's user may see, digests included."""
    if desk.user.row_scope is None:
        return query
    told = select(send_accounts.c.send_key).where(send_accounts.c.send_key == sends.c.send_key)
    theirs = told.where(_in_scope(desk, send_accounts.c.account_key)).exists()
    return query.where(or_(theirs, _in_scope(desk, sends.c.account_key) & ~told.exists()))


def _in_scope(desk: Desk, account_key: ColumnElement[Any]) -> ColumnElement[bool]:
    keys = account_keys(desk)
    if len(keys) > FEW and desk.engine.dialect.name == "sqlite":
        return func.is_of_owner(account_key, desk.user.row_scope) == 1
    return one_of(desk, account_key, keys)


def teach_scopes(engine: Engine, workspace: Workspace) -> None:
    """Give SQLite the function `is_of_owner(account_key, owner)`, so that a list of a large scope stops at its page."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "checkout")
    def _teach(connection: Any, *_: Any) -> None:
        known: dict[str, frozenset[str]] = {}  # of one request: the snapshot is not asked again for every row

        def is_of_owner(key: str, owner: str) -> int:
            if owner not in known:
                known[owner] = _owned_set(workspace, published.lookups_file(workspace), owner)
            return int(key in known[owner])

        connection.create_function("is_of_owner", 2, is_of_owner, deterministic=True)


def needs_all_accounts(desk: Desk) -> None:
    """Raises 403 for a user with a row scope: what follows is about all accounts."""
    if desk.user.row_scope is not None:
        raise HTTPException(403, "this covers all accounts; your user sees only some")


def findings_within_scope(desk: Desk, connection: Connection, query: Select[Any]) -> Select[Any]:
    """Findings about accounts, bill groups, invoices, statements and sends in the user's scope."""
    if desk.user.row_scope is None:
        return query
    f, keys = findings.c, account_keys(desk)
    of_statements = select(statements.c.statement_id).where(statements.c.statement_id == f.object_id)
    of_sends = select(sends.c.send_key).where(sends.c.send_key == f.object_id)
    about = connection.scalars(
        select(f.object_id).where(f.status == "open", f.object_kind.in_(("invoice", "bill_group"))).distinct()
    )
    owned = _owned_things(desk, list(about))
    return query.where(
        or_(
            and_(f.object_kind == "account", one_of(desk, f.object_id, keys)),
            and_(f.object_kind.in_(("invoice", "bill_group")), one_of(desk, f.object_id, [*owned, *keys])),
            and_(f.object_kind == "statement", within_scope(desk, of_statements, statements.c.account_key).exists()),
            and_(f.object_kind == "send", sends_within_scope(desk, of_sends).exists()),
        )
    )


def _owned_things(desk: Desk, keys: list[str]) -> list[str]:
    sql = """
        with wanted as (select value as key from json_each(:keys)),
        things as (
            select key, account_key from wanted join invoices on invoice_key = key
            union all select key, account_key from wanted join bill_groups on bill_group_key = key
        )
        select distinct key from things join accounts using (account_key) where accounts.owner = :owner
    """
    found = published.found(desk.workspace, sql, {"owner": desk.user.row_scope, "keys": json.dumps(keys)})
    return [row["key"] for row in found]


def account_keys(desk: Desk) -> tuple[str, ...]:
    """The account keys in the user's scope, from the published snapshot; none while nothing is published."""
    try:
        return _owned(desk.workspace, published.lookups_file(desk.workspace), desk.user.row_scope or "")
    except NotThere:
        return ()


@lru_cache(maxsize=64)
def _owned(workspace: Workspace, lookups: Path, owner: str) -> tuple[str, ...]:
    found = published.found(workspace, "select account_key from accounts where owner = ?", [owner])
    return tuple(row["account_key"] for row in found)


def one_of(desk: Desk, column: ColumnElement[Any], keys: Sequence[str]) -> ColumnElement[bool]:
    """`column in keys` as one bound parameter: a query may hold some ten thousand of them, a scope more accounts."""
    if desk.engine.dialect.name == "postgresql":
        return column == any_(cast(list(keys), ARRAY(String)))
    return column.in_(select(func.json_each(_as_json(tuple(keys))).table_valued("value").c.value))


@lru_cache(maxsize=64)
def _as_json(keys: tuple[str, ...]) -> str:
    return json.dumps(keys)


@lru_cache(maxsize=64)
def _owned_set(workspace: Workspace, lookups: Path, owner: str) -> frozenset[str]:
    return frozenset(_owned(workspace, lookups, owner))
