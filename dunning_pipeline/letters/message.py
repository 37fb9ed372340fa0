"""The merge document of a message without a statement: thanks for a payment, a note before the due date, a campaign.

data graph + company + day  →  the same fields as a statement's document; `statement.number` and `level` are empty.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from dunning_pipeline.letters.document import Document, own_graph, statement_document
from dunning_pipeline.money import to_minor
from dunning_pipeline.settings.company import Company

_ADDRESS = ("street", "postal_code", "city", "state", "country")


def message_document(
    *,
    graph: Mapping[str, Any],
    company: Company,
    on: date,
    template: str,
    language: str | None = None,
    currency: str | None = None,
    recipients: Mapping[str, Any] | None = None,
    address: Mapping[str, Any] | None = None,
    received: Mapping[str, Any] | None = None,
) -> Document:
    """What a template may show of an account on a day: its open invoices in one currency, its last payment.

    `received` names the payment that is thanked for ({"amount", "date", "invoice_numbers"}); without it the last
    payment of the graph up to `on`. `currency` defaults to the received payment's, else that of the first open
    invoice, else EUR. Items are the graph's open invoices; credits and charges stay out: this is no statement.
    """
    account = graph["account"]
    graph = own_graph(graph, account["account_key"])
    last = _last_payment(graph, on)
    chosen = currency or (last or {}).get("currency") or _first_currency(graph) or "EUR"
    invoices = [row for row in graph.get("invoices") or () if row.get("currency") == chosen]
    details = [_detail(position, row, on, chosen) for position, row in enumerate(invoices, 1)]
    principal = sum(detail["open_minor"] for detail in details)
    statement = {
        "statement_id": f"message:{template}:{account['account_key']}:{on.isoformat()}",
        "kind": "message",
        "dunning_date": on,
        "account_key": account["account_key"],
        "account_id": account["account_id"],
        "account_name": account["name"],
        "bill_group_id": (graph.get("bill_group") or {}).get("id"),
        "currency": chosen,
        "language": language or account.get("language") or company.default_language,
        "time_zone": account.get("time_zone"),
        "template": template,
        "recipients": recipients or {},
        "address": address or {"name": account["name"], **{key: account.get(key) for key in _ADDRESS}},
        "principal_minor": principal,
        "credits_minor": 0,
        "interest_minor": 0,
        "fees_minor": 0,
        "please_pay_minor": principal,
    }
    document = statement_document(statement=statement, details=details, graph=graph, company=company)
    return {**document, "received": _received(received, last, chosen)}


def _received(given: Mapping[str, Any] | None, last: Mapping[str, Any] | None, currency: str) -> dict[str, Any]:
    if given:
        return {
            "amount": str(given["amount"]) if given.get("amount") is not None else None,
            "date": str(given["date"])[:10] if given.get("date") else None,
            "invoice_numbers": list(given.get("invoice_numbers") or ()),
        }
    if last is None or last.get("currency") != currency:
        return {"amount": None, "date": None, "invoice_numbers": []}
    return {"amount": str(last["amount"]), "date": str(last["payment_date"])[:10], "invoice_numbers": []}


def _last_payment(graph: Mapping[str, Any], on: date) -> Mapping[str, Any] | None:
    known = [row for row in graph.get("payments") or () if str(row.get("payment_date") or "9999") <= on.isoformat()]
    return max(known, key=lambda row: (str(row["payment_date"]), str(row.get("payment_key"))), default=None)


def _first_currency(graph: Mapping[str, Any]) -> str | None:
    return next((row["currency"] for row in graph.get("invoices") or () if row.get("currency")), None)


def _detail(position: int, row: Mapping[str, Any], on: date, currency: str) -> dict[str, Any]:
    due = date.fromisoformat(str(row["due_date"])[:10])
    open_minor = to_minor(Decimal(str(row["open_amount"])), currency)
    total = row.get("total_amount")
    return {
        "position": position,
        "type": "invoice",
        "invoice_key": row["invoice_key"],
        "invoice_id": row.get("invoice_id"),
        "invoice_number": row.get("invoice_number"),
        "instalment": 1,
        "level": None,
        "due_date": due,
        "days_overdue": (on - due).days,
        "original_minor": to_minor(Decimal(str(total)), currency) if total is not None else open_minor,
        "open_minor": open_minor,
        "amount_minor": open_minor,
    }
