"""Finds the account, bill group or invoice that a person names, in the published snapshot."""

from dataclasses import dataclass

from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.snapshot import open_snapshot

_QUERIES = {
    "account": """
        select account_key, account_key, currency from data_model.accounts
        where account_key = $1 or account_id = $1 or account_number = $1 or source || ':' || account_id = $1
        order by account_key <> $1, account_id <> $1, account_key limit 1
    """,
    "bill_group": """
        select bill_group_key, account_key, null from data_model.bill_groups
        where bill_group_key = $1 or bill_group_id = $1 or source || ':' || bill_group_id = $1
        order by bill_group_key <> $1, bill_group_key limit 1
    """,
    "invoice": """
        select invoice_key, account_key, currency from data_model.invoices
        where invoice_key = $1 or invoice_id = $1 or invoice_number = $1 or source || ':' || invoice_id = $1
        order by invoice_key <> $1, invoice_id <> $1, invoice_key limit 1
    """,
}


@dataclass(frozen=True)
class Target:
    """What was found; an invoice's currency, the others' where they have one."""

    kind: str
    key: str
    account_key: str
    currency: str | None = None


def find(ws: Workspace, kind: str, text: str) -> Target:
    """The account, bill group or invoice with this key, id or number. Raises NotThere."""
    con = open_snapshot(ws)
    try:
        rows = con.execute(_QUERIES[kind], [text]).fetchall()
    finally:
        con.close()
    if not rows:
        raise NotThere(
            f"there is no {kind.replace('_', ' ')} {text!r}",
            remedy="name it by its key, its id in the source or its number",
        )
    return Target(kind, *rows[0])


def find_any(ws: Workspace, text: str) -> Target:
    """The invoice with this name, else the account. Raises NotThere."""
    try:
        return find(ws, "invoice", text)
    except NotThere:
        return find(ws, "account", text)


def find_bill_group(ws: Workspace, text: str) -> Target:
    """The bill group with this name; an account without bill groups is its own. Raises NotThere."""
    try:
        return find(ws, "bill_group", text)
    except NotThere:
        account = find(ws, "account", text)
        return Target("bill_group", account.key, account.account_key)


def max_promises(ws: Workspace, target: Target) -> int | None:
    """How many promises the process of the target's newest statement allows; None where nothing limits them."""
    from sqlalchemy import select

    from dunning_pipeline.dunning.processes import load_processes
    from dunning_pipeline.ledger.engine import open_ledger, reading
    from dunning_pipeline.ledger.schema import assignments

    a = assignments.c
    with reading(open_ledger(ws)) as connection:
        name = connection.scalar(
            select(a.process).where(a.account_key == target.account_key).order_by(a.created_at.desc()).limit(1)
        )
    declared = load_processes(ws).get(name or ws.company.default_process or "")
    return declared.process.max_promises if declared is not None else None
