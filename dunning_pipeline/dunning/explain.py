"""Explains the decision on an account or an invoice: the same decision as a run's, in plain words or as JSON."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson
from sqlalchemy import select

from dunning_pipeline.dunning.decision import ask_model
from dunning_pipeline.dunning.reasons import in_words
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.schema import decisions, statements
from dunning_pipeline.money import minor_unit
from dunning_pipeline.settings.workspace import Workspace

_AMOUNTS = ("original_amount", "open_amount", "tolerance", "minimum", "unit_dunnable", "unit_open", "account_credit")


def explain(
    ws: Workspace,
    target: str,
    *,
    dunning_date: date,
    facts: duckdb.DuckDBPyConnection | Path | None = None,
    ledger: bool = True,
) -> list[dict[str, Any]]:
    """The decision on every item of an account, or on one invoice's, as of that date.

    `target` is an account or invoice: key, id in the source, or number. Items of a statement that was closed for that
    date show what it was based on. Rows have invoice_id, invoice_number, instalment, included, reason, text,
    level_before, level_after, process, inputs, statement (number). Raises NotThere.
    """
    rows = ask_model(ws, "decisions", target, dunning_date=dunning_date, facts=facts, ledger=ledger)
    rows.sort(key=lambda row: (row["invoice_number"] or "", row["invoice_key"], row["instalment"]))
    recorded = _recorded(ws, rows[0]["account_key"], dunning_date) if ledger and rows else {}
    told = [_explained(row | recorded.get((row["invoice_key"], row["instalment"]), {})) for row in rows]
    # what is dunned first, then what is longest overdue; of what is settled nobody asks
    return sorted(told, key=lambda row: (not row["included"], -row["inputs"].get("days_overdue", float("-inf"))))


def _recorded(ws: Workspace, account_key: str, dunning_date: date) -> dict[tuple[str, int], dict[str, Any]]:
    """What closed statements of that very date were based on: the answer to "why did they get it", later too."""
    d, s = decisions.c, statements.c
    query = (
        select(d.invoice_key, d.instalment, d.included, d.reason, d.level_before, d.level_after, d.inputs, s.number)
        .select_from(decisions.join(statements, s.statement_id == d.statement_id))
        .where(d.account_key == account_key, s.dunning_date == dunning_date, s.status == "closed", s.kind == "dunning")
    )
    with reading(open_ledger(ws)) as connection:
        found = [dict(row._mapping) for row in connection.execute(query)]
    return {(row["invoice_key"], row["instalment"]): row for row in found}


def _explained(row: Mapping[str, Any]) -> dict[str, Any]:
    inputs = row["inputs"] if isinstance(row["inputs"], dict) else orjson.loads(row["inputs"])
    currency = inputs.get("currency")
    for name in _AMOUNTS:
        if inputs.get(name) is not None:
            inputs[name] = _plain(Decimal(inputs[name]), currency)
    inputs = {name: value for name, value in inputs.items() if value is not None}
    names = (
        "invoice_id",
        "invoice_number",
        "instalment",
        "included",
        "reason",
        "level_before",
        "level_after",
        "process",
    )
    said = {name: row[name] for name in names} | {"inputs": inputs}
    return {**said, "statement": row.get("number"), "text": in_words(said)}


def _plain(amount: Decimal, currency: str | None) -> str:
    """The amount with the currency's decimals where nothing is lost by it."""
    try:
        rounded = amount.quantize(Decimal(1).scaleb(-minor_unit(currency or "")))
    except InvalidInput:
        return f"{amount.normalize():f}"
    return f"{rounded:f}" if rounded == amount else f"{amount.normalize():f}"
