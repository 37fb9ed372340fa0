"""Asserts before closing what the run decided: the listed amounts are still owed, and nothing holds them back since.

It asks the decision's own SQL (dunning.open_items) on the newest snapshot and the ledger of the moment: never a second
opinion on what is open, only the same question later.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow

from dunning_pipeline.dunning.facts import Facts, open_facts
from dunning_pipeline.dunning.models import ledger_tables, rendered_models
from dunning_pipeline.dunning.policy_tables import load_policy_tables, model_variables
from dunning_pipeline.money import to_minor
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.runner import quoted

Item = tuple[str, int]
CHECKED = ("invoice_key", "invoice_number", "instalment", "open_minor", "due_date")  # of a detail
# Facts of an invoice that the scratch views restrict to the invoices asked for; small tables are read whole.
# (instalments are read whole: they name their schedule, and only sometimes their invoice)
_BY_INVOICE = ("invoices", "payment_allocations", "credit_applications", "payment_schedules")


@dataclass(frozen=True)
class Standing:
    """How an item stands now: what is open, and what holds it back."""

    open_minor: int
    due_on: date | None
    held_by: str | None


def change_of(details: Sequence[Mapping[str, Any]], standing: Mapping[Item, Standing], *, kind: str) -> str | None:
    """Why a statement with these invoice lines may not be closed any more; None where it still stands.

    `standing` are the items of today. What holds reminders back does not hold back a statement of account.
    """
    for detail in details:
        now = standing.get((detail["invoice_key"], detail["instalment"] or 1), Standing(0, None, None))
        number = detail["invoice_number"]
        if now.open_minor != detail["open_minor"]:
            return f"the open amount of {number} has changed since the run; run again"
        if kind == "dunning" and now.held_by is not None:
            return f"{number} is {now.held_by} since the run; run again"
        if now.due_on is not None and detail["due_date"] is not None and now.due_on > detail["due_date"]:
            return f"{number} is postponed since the run; run again"
    return None


def standing_of(ws: Workspace, invoice_keys: Collection[str], *, dates: Collection[date]) -> dict[Item, Standing]:
    """How the items of these invoices stand: amounts as of the latest date, held back if they are on any date."""
    held: dict[Item, str] = {}
    latest: dict[Item, Standing] = {}
    with open_facts(ws, facts=None) as facts:
        facts.bring_ledger(ws, wanted=True, tables={*ledger_tables(ws, "open_items"), "process_versions"})
        load_policy_tables(facts.con, ws, rules_only=True)
        _see_only(facts, invoice_keys)
        facts.con.execute("create schema if not exists dunning")
        for day in sorted(set(dates)):
            latest = _on(facts, ws, day)
            held |= {item: now.held_by for item, now in latest.items() if now.held_by}
    return {item: Standing(now.open_minor, now.due_on, held.get(item)) for item, now in latest.items()}


def _see_only(facts: Facts, invoice_keys: Collection[str]) -> None:
    con = facts.con
    con.execute("create schema if not exists asked")
    con.register("_asked", pyarrow.table({"invoice_key": pyarrow.array(list(invoice_keys), pyarrow.string())}))
    con.execute("create table asked.keys as from _asked").fetchall()
    con.unregister("_asked")
    for name in _BY_INVOICE:
        table = facts.table("data_model", name)
        con.execute(
            f"create table asked.{name} as select * from {table} "
            "where invoice_key in (select invoice_key from asked.keys)"
        )
        facts.relations[f"data_model.{name}"] = f"asked.{name}"


def _on(facts: Facts, ws: Workspace, day: date) -> dict[Item, Standing]:
    con = facts.con
    models = rendered_models(
        ws,
        run_date=day,
        kind="dunning",
        variables=model_variables(con),
        catalogs=facts.catalogs,
        relations=facts.relations,
        up_to="open_items",
    )
    for model in models:
        con.execute(f"create or replace view dunning.{quoted(model.name)} as {model.sql}")
    rows = con.execute(
        """
        select invoice_key, instalment, open_amount, currency, effective_due_date,
            case when is_account_blocked or is_bill_group_blocked or is_invoice_blocked then 'blocked'
                when is_disputed then 'disputed' when is_promised then 'promised for a later date' end as held_by
        from dunning.open_items
        """
    ).fetchall()
    return {
        (key, instalment): Standing(to_minor(amount, currency), due_on, held_by)
        for key, instalment, amount, currency, due_on, held_by in rows
    }
