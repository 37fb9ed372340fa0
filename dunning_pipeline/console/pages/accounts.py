"""Accounts: search over the snapshot, and one account with its profile, debts, holds, charges and timeline."""

from typing import Any
from urllib.parse import quote

from sqlalchemy import func, select
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dunning_pipeline.console import published
from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.console.listing import PAGE_SIZE
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import (
    assignments,
    blocks,
    notes,
    postings,
    postponements,
    promises,
    sends,
    statements,
)

_ACCOUNTS = """
    with page as (
        select account_key, account_id, source, name, country, owner
        from data_model.accounts
        where ($scope is null or owner = $scope) and ({condition})
        order by lower(name), account_key
        limit {limit} offset {offset}
    )
    select page.*, links.unified_account_id
    from page left join unified.account_links as links on links.account_key = page.account_key
    order by lower(page.name), page.account_key
"""


def found_accounts(desk: Desk, condition: str, parameters: dict[str, Any], *, page: int = 1) -> list[dict[str, Any]]:
    """Accounts in the user's scope that fit a condition (of ours, with bound parameters), one page and one row more."""
    sql = _ACCOUNTS.format(condition=condition, limit=PAGE_SIZE + 1, offset=(page - 1) * PAGE_SIZE)
    return published.rows(desk.workspace, sql, {"scope": desk.user.row_scope, **parameters})


@allowed("viewer")
def list_accounts(desk: Desk) -> Response:
    page = max(1, desk.whole(desk.asked("page"), most=2_000) or 1)
    wanted = desk.asked("q")
    condition, parameters = "true", {}
    if wanted:
        condition, parameters = (
            "contains(lower(name), lower($q)) or account_id = $q",
            {"q": wanted},
        )
    found = found_accounts(desk, condition, parameters, page=page)
    owed = _owed(desk, [row["account_key"] for row in found[:PAGE_SIZE]])
    return desk.page("accounts.html", rows=found[:PAGE_SIZE], owed=owed, page=page, has_more=len(found) > PAGE_SIZE)


def _owed(desk: Desk, keys: list[str]) -> dict[str, list[dict[str, Any]]]:
    sql = """
        select account_key, currency, sum(open_amount) as open, max(days_overdue) as days,
            sum(open_amount) filter (where days_overdue > 0) as overdue
        from dunning.open_items where account_key in (select unnest($1))
        group by account_key, currency order by currency
    """
    by_account: dict[str, list[dict[str, Any]]] = {}
    for row in published.rows(desk.workspace, sql, [keys]) if keys else []:
        by_account.setdefault(row["account_key"], []).append(row)
    return by_account


@allowed("viewer")
def search(desk: Desk) -> Response:
    """One box for account names and ids, invoice numbers, statement numbers and e-mail addresses."""
    wanted = desk.asked("q")
    if not wanted:
        return desk.page("search.html", wanted="", accounts=[], invoices=[])
    with reading(desk.engine) as connection:
        statement = connection.execute(select(statements.c.statement_id).where(statements.c.number == wanted)).first()
    if statement:
        return RedirectResponse(f"/statements/{statement[0]}", status_code=303)
    accounts = found_accounts(
        desk,
        """contains(lower(name), lower($q)) or account_id = $q or email = lower($q) or account_key in
        (select account_key from data_model.contacts where lower(email) = lower($q))""",
        {"q": wanted},
    )
    invoices = published.rows(
        desk.workspace,
        """select invoices.invoice_key, invoices.invoice_number, invoices.account_key, accounts.name, invoices.due_date
        from data_model.invoices join data_model.accounts on accounts.account_key = invoices.account_key
        where invoices.invoice_number = $id and ($scope is null or accounts.owner = $scope) limit 50""",
        {"id": wanted, "scope": desk.user.row_scope},
    )
    return desk.page("search.html", wanted=wanted, accounts=accounts[:PAGE_SIZE], invoices=invoices)


@allowed("viewer")
def show_account(desk: Desk) -> Response:
    key = desk.request.path_params["account_key"]
    account = account_row(desk, key)
    return desk.page(
        "account.html", account=account, **_profile(desk, account), **_record(desk, account["account_key"])
    )


def account_row(desk: Desk, key: str) -> dict[str, Any]:
    """The account's row, by key or the source's id. Raises 404 where it is not there or out of the user's scope."""
    found = found_accounts(desk, "accounts.account_key = $key or accounts.account_id = $key", {"key": key})
    if not found:
        raise HTTPException(404, "there is no such account")
    row = published.first(
        desk.workspace, "select * from data_model.accounts where account_key = ?", [found[0]["account_key"]]
    )
    return {**(row or {}), "unified_account_id": found[0]["unified_account_id"]}


def _profile(desk: Desk, account: dict[str, Any]) -> dict[str, Any]:
    ws, key = desk.workspace, account["account_key"]
    unified = account["unified_account_id"]
    return {
        "sources": published.rows(
            ws,
            """select links.*, accounts.name from unified.account_links as links
            join data_model.accounts on accounts.account_key = links.account_key
            where links.unified_account_id = ? order by links.account_key""",
            [unified],
        ),
        "contacts": published.rows(
            ws, "select * from data_model.contacts where account_key = ? order by last_name, contact_key", [key]
        ),
        "bill_groups": published.rows(
            ws, "select * from data_model.bill_groups where account_key = ? order by name", [key]
        ),
        "items": published.rows(
            ws, "select * from dunning.open_items where account_key = ? order by due_date, invoice_number", [key]
        ),
        "plans": published.rows(
            ws, "select * from data_model.collection_plans where account_key = ? order by plan_due_date", [key]
        ),
    }


def _record(desk: Desk, key: str) -> dict[str, Any]:
    sql = """
        select $key as thing
        union all select bill_group_key from data_model.bill_groups where account_key = $key
        union all
        (select invoice_key from data_model.invoices where account_key = $key order by due_date desc limit 5000)
    """
    things = [row["thing"] for row in published.rows(desk.workspace, sql, {"key": key})] or [key]
    queries = {
        "statements": select(statements)
        .where(statements.c.account_key == key, statements.c.status != "deleted")
        .order_by(statements.c.dunning_date.desc())
        .limit(100),
        "blocks": select(blocks).where(blocks.c.target_key.in_(things)).order_by(blocks.c.valid_from.desc()),
        "promises": select(promises).where(promises.c.account_key == key).order_by(promises.c.promised_for.desc()),
        "assignments": select(assignments)
        .where(assignments.c.account_key == key)
        .order_by(assignments.c.created_at.desc()),
        "charges": select(postings.c.currency, func.sum(postings.c.amount_minor).label("open_minor"))
        .where(postings.c.account_key == key)
        .group_by(postings.c.currency),
        "postings": select(postings)
        .where(postings.c.account_key == key)
        .order_by(postings.c.posted_on.desc())
        .limit(100),
        "sends": select(sends).where(sends.c.account_key == key).order_by(sends.c.queued_at.desc()).limit(100),
        "notes": select(notes)
        .where(notes.c.object_kind == "account", notes.c.object_id == key)
        .order_by(notes.c.created_at.desc()),
        "postponements": select(postponements)
        .where(postponements.c.invoice_key.in_(things))
        .order_by(postponements.c.created_at.desc()),
    }
    with reading(desk.engine) as connection:
        return {name: as_rows(connection.execute(query)) for name, query in queries.items()}


@allowed("viewer")
def find(desk: Desk) -> Response:
    """From an invoice or a bill group (as findings name them) to the account that it belongs to."""
    kind, key = desk.request.path_params["kind"], desk.request.path_params["key"]
    if kind not in ("invoice", "bill_group"):
        raise HTTPException(404, "there is no such thing")
    sql = f"select account_key from data_model.{kind}s where {kind}_key = ? order by account_key limit 1"
    row = published.first(desk.workspace, sql, [key])
    account = account_row(desk, row["account_key"] if row else key)
    return desk.go(account_path(account["account_key"]))


def account_path(key: str) -> str:
    return f"/accounts/{quote(key, safe=':')}"


routes = [
    Route("/find/{kind}/{key}", find),
    Route("/accounts", list_accounts),
    Route("/accounts/{account_key}", show_account),
    Route("/search", search),
]
