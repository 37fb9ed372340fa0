"""Reads the data graph: the documents of an account, completed by the company, as templates may see them."""

import json
from typing import Any

from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.snapshot import open_snapshot


def read_graphs(ws: Workspace, account: str, *, bill_group: str | None = None) -> list[dict[str, Any]]:
    """The documents of a billing account, one per bill group, each with the company's details.

    `account` is an account key (source:id), an id, an account number, an exact name or a unified account's id; the
    last yields the documents of all its billing accounts. Raises NotThere.
    """
    con = open_snapshot(ws)
    try:
        rows = con.execute(
            """
            select graphs.document
            from data_graph.account_graphs as graphs
            inner join data_model.accounts as accounts on accounts.account_key = graphs.account_key
            where $account in (
                    accounts.account_key, accounts.account_id, accounts.account_number, accounts.name,
                    graphs.unified_account_id
                )
                and ($bill_group is null or graphs.bill_group_key = $bill_group)
            order by graphs.account_key, graphs.bill_group_key
            """,
            {"account": account, "bill_group": bill_group},
        ).fetchall()
    finally:
        con.close()
    if not rows:
        raise NotThere(
            f"no account {account!r} in the published data graph",
            remedy="give its key (salesforce:001…), id, number, exact name or unified id",
        )
    return [complete(ws, json.loads(document)) for (document,) in rows]


def complete(ws: Workspace, document: dict[str, Any]) -> dict[str, Any]:
    """The document with empty lists for what is not there, and the company that it does not repeat a million times."""
    lists = ("contacts", "invoices", "payments", "credits", "plans", "statements")
    filled = {name: document.get(name) or [] for name in lists}
    return {**document, **filled, "company": ws.company.model_dump(mode="json", include=COMPANY_FIELDS)}


COMPANY_FIELDS = {
    "name", "address", "country", "email_reply_to", "phone", "website", "vat_id", "registry", "bank"
}  # fmt: skip
