"""Accounts: the list, and one account with its profile, debts, holds, charges and timeline."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sqlalchemy import func, or_, select
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import published
from dunning_pipeline.console.coming import next_steps
from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.console.listing import PAGE_SIZE
from dunning_pipeline.console.pages.searching import found_accounts, named, of_keys
from dunning_pipeline.console.pages.sends import LISTED
from dunning_pipeline.console.timeline import timeline
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import (
    assignments,
    blocks,
    notes,
    postings,
    postponements,
    promises,
    send_accounts,
    sends,
    statements,
)


@allowed("viewer")
def list_accounts(desk: Desk) -> Response:
    page = max(1, desk.whole(desk.asked("page"), most=2_000) or 1)
    condition, parameters = of_keys(named(desk, desk.asked("q"))) if desk.asked("q") else ("true", {})
    found = found_accounts(desk, condition, parameters, page=page)
    owed = owed_by(desk, [row["account_key"] for row in found[:PAGE_SIZE]])
    return desk.page("accounts.html", rows=found[:PAGE_SIZE], owed=owed, page=page, has_more=len(found) > PAGE_SIZE)


def owed_by(desk: Desk, keys: list[str]) -> dict[str, list[dict[str, Any]]]:
    """What each of the accounts owes, a row per currency."""
    sql = "select * from owed where account_key in (select value from json_each(?)) order by currency"
    by_account: dict[str, list[dict[str, Any]]] = {}
    for row in published.found(desk.workspace, sql, [json.dumps(keys)]) if keys else []:
        by_account.setdefault(row["account_key"], []).append(row)
    return by_account


@allowed("viewer")
def show_account(desk: Desk) -> Response:
    key = desk.request.path_params["account_key"]
    account = account_row(desk, key)
    profile, record = _profile(desk, account), _record(desk, account["account_key"])
    return desk.page(
        "account.html",
        account=account,
        events=timeline(record, zone=desk.workspace.company.zone),
        has_groups=any(item["bill_group_key"] != account["account_key"] for item in profile["items"]),
        group_names={group["bill_group_key"]: group["name"] for group in profile["bill_groups"] if group["name"]},
        coming=next_steps(desk.workspace, account["account_key"], record),
        processes=_processes(desk, account, profile["bill_groups"], record["assignments"]),
        **profile,
        **record,
    )


def _processes(
    desk: Desk, account: dict[str, Any], groups: list[dict[str, Any]], assigned: list[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Each bill group and the account itself, with the process in force; None where the first run will choose it."""
    today = desk.today
    in_force: dict[str, Mapping[str, Any]] = {}
    for row in assigned:  # the newest first
        if row["valid_from"] <= today and (row["valid_to"] is None or row["valid_to"] >= today):
            in_force.setdefault(row["bill_group_key"], row)
    own = {"bill_group_key": account["account_key"], "name": None}
    default = account["default_process"] or desk.workspace.company.default_process
    return [
        {**group, "assigned": in_force.get(group["bill_group_key"]), "default": default} for group in [own, *groups]
    ]


def account_row(desk: Desk, key: str) -> dict[str, Any]:
    """The account's row, by key or the source's id. Raises 404 where it is not there or out of the user's scope."""
    found = found_accounts(desk, "(account_key = :key or account_id = :key)", {"key": key})
    if not found:
        raise HTTPException(404, "there is no such account")
    row = published.first(desk.workspace, "select * from accounts where account_key = ?", [found[0]["account_key"]])
    return {**(row or {}), "unified_account_id": found[0]["unified_account_id"]}


_PROFILE = {
    "contacts": "select * from contacts where account_key = ? order by last_name nulls last, contact_key",
    "bill_groups": "select * from bill_groups where account_key = ? order by name",
    "items": "select * from open_items where account_key = ? order by due_date, invoice_number",
    "plans": "select * from collection_plans where account_key = ? order by plan_due_date",
}


def _profile(desk: Desk, account: dict[str, Any]) -> dict[str, Any]:
    # of the other accounts of its company only those that the user may see
    sources = """select links.*, accounts.name from account_links as links
        join accounts on accounts.account_key = links.account_key
        where links.unified_account_id = :id and (:owner is null or accounts.owner = :owner)
        order by links.account_key"""
    key, of = account["account_key"], {"id": account["unified_account_id"], "owner": desk.user.row_scope}
    profile = {name: published.found(desk.workspace, sql, [key]) for name, sql in _PROFILE.items()}
    return {**profile, "sources": published.found(desk.workspace, sources, of)}


def _record(desk: Desk, key: str) -> dict[str, Any]:
    sql = """
        select :key as thing
        union all select bill_group_key from bill_groups where account_key = :key
        union all select invoice_key from
            (select invoice_key from invoices where account_key = :key order by due_date desc limit 5000)
    """
    things = [row["thing"] for row in published.found(desk.workspace, sql, {"key": key})] or [key]
    digests = select(send_accounts.c.send_key).where(send_accounts.c.account_key == key)
    told = select(func.count()).where(send_accounts.c.send_key == sends.c.send_key).scalar_subquery().label("told")
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
        "sends": select(*LISTED, told)
        .where(or_(sends.c.account_key == key, sends.c.send_key.in_(digests)))
        .order_by(sends.c.queued_at.desc())
        .limit(100),
        "notes": select(notes)
        .where(notes.c.object_kind == "account", notes.c.object_id == key)
        .order_by(notes.c.created_at.desc()),
        "postponements": select(postponements)
        .where(postponements.c.invoice_key.in_(things))
        .order_by(postponements.c.created_at.desc()),
    }
    paid = (
        "select * from payments where account_key = ? and payment_date is not null order by payment_date desc limit 100"
    )
    with reading(desk.engine) as connection:
        record = {name: as_rows(connection.execute(query)) for name, query in queries.items()}
    return record | {"payments": published.found(desk.workspace, paid, [key])}


_FOUND_IN = {
    "invoice": ("invoices", "invoice_key"),
    "bill_group": ("bill_groups", "bill_group_key"),
    "unified_account": ("account_links", "unified_account_id"),
}


@allowed("viewer")
def find(desk: Desk) -> Response:
    """From an invoice, a bill group or a unified account (as findings name them) to the account that it belongs to; of
    several to the first that the user may see."""
    kind, key = desk.request.path_params["kind"], desk.request.path_params["key"]
    if kind not in _FOUND_IN:
        raise HTTPException(404, "there is no such thing")
    table, column = _FOUND_IN[kind]
    sql = f"""select account_key from {table} join accounts using (account_key)
        where {column} = :key and (:owner is null or accounts.owner = :owner) order by account_key limit 1"""
    row = published.first(desk.workspace, sql, {"key": key, "owner": desk.user.row_scope})
    account = account_row(desk, row["account_key"] if row else key)
    return desk.go(account_path(account["account_key"]))


def account_path(key: str) -> str:
    return f"/accounts/{quote(key, safe=':')}"


routes = [
    Route("/find/{kind}/{key:path}", find),
    Route("/accounts", list_accounts),
]
# an id of a source may hold a slash: asked last, after the pages below an account
last_routes = [Route("/accounts/{account_key:path}", show_account)]
