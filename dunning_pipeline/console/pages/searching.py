"""Finds accounts, invoices, statements and profiles by what a person types, within the user's scope."""

import json
from typing import Any
from urllib.parse import quote

from sqlalchemy import select
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dunning_pipeline.console import published
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.listing import PAGE_SIZE
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import statements

_ACCOUNTS = """
    select page.*, links.unified_account_id
    from (
        select account_key, account_id, source, name, country, owner, sort_name from accounts
        where {condition} order by sort_name, account_key limit {limit} offset {offset}
    ) as page
    left join account_links as links on links.account_key = page.account_key
    order by page.sort_name, page.account_key
"""
_EXACT = """
    select account_key from accounts where account_id = :q
    union select account_key from accounts where sort_email = :lower
    union select account_key from contacts where sort_email = :lower
"""
# any part of the name, looked for in the index of names and not in the rows
_NAMED = "select account_key from accounts where instr(sort_name, :lower) {scope} order by sort_name limit 2000"


def found_accounts(desk: Desk, condition: str, parameters: dict[str, Any], *, page: int = 1) -> list[dict[str, Any]]:
    """Accounts in the user's scope that fit a condition (of ours, with bound parameters), one page and one row more."""
    if desk.user.row_scope is not None:
        condition = f"owner = :owner and {condition}"
    sql = _ACCOUNTS.format(condition=condition, limit=PAGE_SIZE + 1, offset=(page - 1) * PAGE_SIZE)
    return published.found(desk.workspace, sql, {"owner": desk.user.row_scope, **parameters})


def named(desk: Desk, wanted: str) -> list[str]:
    """Keys of the accounts with this id or e-mail (a contact's too); where there is none, with it in their name."""
    parameters = {"q": wanted, "lower": wanted.lower(), "owner": desk.user.row_scope}
    found = published.found(desk.workspace, _EXACT, parameters)
    if not found and "@" not in wanted:
        scope = "and owner = :owner" if desk.user.row_scope is not None else ""
        found = published.found(desk.workspace, _NAMED.format(scope=scope), parameters)
    return [row["account_key"] for row in found]


def of_keys(keys: list[str]) -> tuple[str, dict[str, Any]]:
    """The condition for `found_accounts` that names some accounts."""
    return "account_key in (select value from json_each(:keys))", {"keys": json.dumps(keys)}


@allowed("viewer")
def search(desk: Desk) -> Response:
    """One box for account names and ids, invoice and statement numbers, e-mail addresses, people and profiles' ids."""
    wanted = desk.asked("q")
    if not wanted:
        return desk.page("search.html", wanted="", accounts=[], invoices=[], people=[])
    with reading(desk.engine) as connection:
        statement = connection.execute(select(statements.c.statement_id).where(statements.c.number == wanted)).first()
    if statement:
        return RedirectResponse(f"/statements/{statement[0]}", status_code=303)
    invoices = published.found(
        desk.workspace,
        """select invoices.invoice_key, invoices.invoice_number, invoices.account_key, accounts.name, invoices.due_date
        from invoices join accounts on accounts.account_key = invoices.account_key
        where invoices.invoice_number = :q and (:owner is null or accounts.owner = :owner) limit 50""",
        {"q": wanted, "owner": desk.user.row_scope},
    )
    accounts = [] if invoices else found_accounts(desk, *of_keys(named(desk, wanted)))
    people = [] if invoices else _people(desk, wanted)
    if not invoices and not accounts and not people and (key := _profile_named(desk, wanted)):
        return RedirectResponse(f"/profiles/{quote(key, safe=':')}", status_code=303)
    return desk.page("search.html", wanted=wanted, accounts=accounts[:PAGE_SIZE], invoices=invoices, people=people)


def _people(desk: Desk, wanted: str) -> list[dict[str, Any]]:
    """Profiles of people with this e-mail, or with the text in their name, by their contacts in the user's scope."""
    sql = f"""
        select links.unified_individual_id as id, any_value(links.account_key) as account_key,
            any_value(coalesce(contacts.full_name, concat_ws(' ', contacts.first_name, contacts.last_name))) as name
        from data_model.contacts as contacts
        join identity.individual_links as links on links.contact_key = contacts.contact_key
        left join data_model.accounts as accounts on accounts.account_key = contacts.account_key
        where ($owner is null or accounts.owner = $owner)
            and (lower(contacts.email) = $lower or (not contains($lower, '@')
            and contains(lower(coalesce(contacts.full_name, concat_ws(' ', first_name, last_name))), $lower)))
        group by 1 order by 3, 1 limit {PAGE_SIZE}
    """
    return published.rows(desk.workspace, sql, {"lower": wanted.lower(), "owner": desk.user.row_scope})


def _profile_named(desk: Desk, wanted: str) -> str | None:
    """What somebody typed where it is the id of a profile, today's or an earlier one: its page says who may see it."""
    sql = """
        select 1 from identity.id_redirects where old_id = $id
        union all select 1 from identity.unified_accounts where unified_account_id = $id
        union all select 1 from identity.unified_individuals where unified_individual_id = $id limit 1
    """
    return wanted if published.rows(desk.workspace, sql, {"id": wanted}) else None


routes = [Route("/search", search)]
