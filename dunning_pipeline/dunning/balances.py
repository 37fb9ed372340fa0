"""What an account owes with everything that was charged: by invoice and in all, as clerks and debtors ask for it."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from dunning_pipeline.dunning.decision import ask_model
from dunning_pipeline.money import amount_text, to_minor
from dunning_pipeline.settings.workspace import Workspace

_AMOUNTS = ("open_amount", "charges", "open_amount_with_charges")


def balances(
    ws: Workspace,
    target: str,
    *,
    on: date,
    facts: duckdb.DuckDBPyConnection | Path | None = None,
    ledger: bool = True,
) -> list[dict[str, Any]]:
    """One row per invoice of an account (or of one invoice) with something owed, as of a date.

    Rows have invoice_id, invoice_number, legal_entity, currency, open_amount (principal), charges (posted and not yet
    cleared) and open_amount_with_charges, as decimal text; a row without an invoice holds the charges of statements
    as a whole. The sum of a currency's rows is the account's balance before credits. Raises NotThere.
    """
    rows = ask_model(ws, "invoice_balances", target, dunning_date=on, facts=facts, ledger=ledger)
    rows.sort(key=lambda row: (row["currency"], row["invoice_number"] is None, row["invoice_number"] or ""))
    return [
        {
            "account_key": row["account_key"],
            "invoice_id": row["invoice_id"],
            "invoice_number": row["invoice_number"],
            "legal_entity": row["entity"] or None,
            "currency": row["currency"],
            **{name: _text(row[name], row["currency"]) for name in _AMOUNTS},
        }
        for row in rows
    ]


def _text(amount: Decimal, currency: str) -> str:
    return amount_text(to_minor(amount, currency), currency)
