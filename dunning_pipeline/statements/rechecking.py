"""Asserts before closing what the run decided: the listed amounts are still owed, and nothing holds them back since.

It asks the decision's own SQL (dunning.open_items) on the newest snapshot and the ledger of the moment: never a second
opinion on what is open, only the same question later.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow

from dunning_pipeline.dunning.facts import Facts, open_facts
from dunning_pipeline.dunning.models import ledger_tables, rendered_models
from dunning_pipeline.dunning.policy_tables import load_policy_tables, model_variables
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.shapes import quoted
from dunning_pipeline.statements.assigning import paused

Item = tuple[str, int]
# Facts of an invoice that the scratch views restrict to the invoices asked for; small tables are read whole.
# (instalments are read whole: they name their schedule, and only sometimes their invoice)
_BY_INVOICE = ("invoices", "payment_allocations", "credit_applications", "payment_schedules")


# How an item stands now: what is open (minor units), when it is due, and what holds it back.
Standing = tuple[int, date | None, str | None]  # plain, because there are as many as items
_GONE: Standing = (0, None, None)


def change_of(details: Sequence[Mapping[str, Any]], standing: Mapping[Item, Standing], *, kind: str) -> str | None:
    """Why a statement with these lines may not be closed any more; None where it still stands.

    `standing` are the items of today. What holds reminders back does not hold back a statement of account.
    """
    for detail in details:
        if detail["type"] != "invoice":
            continue
        open_minor, due_on, held_by = standing.get((detail["invoice_key"], detail["instalment"] or 1), _GONE)
        if open_minor != detail["open_minor"]:
            return f"the open amount of {detail['invoice_number']} has changed since the run; run again"
        if kind == "dunning" and held_by is not None:
            return f"{detail['invoice_number']} is {held_by} since the run; run again"
        if due_on is not None and detail["due_date"] is not None and due_on > detail["due_date"]:
            return f"{detail['invoice_number']} is postponed since the run; run again"
    return None


def standing_of(ws: Workspace, invoice_keys: Collection[str], *, dates: Collection[date]) -> dict[Item, Standing]:
    """How the items of these invoices stand: amounts as of the latest date, held back if they are on any date."""
    held: dict[Item, str] = {}  # of the earlier days
    latest: dict[Item, Standing] = {}
    with open_facts(ws, facts=None) as facts:
        facts.bring_ledger(ws, wanted=True, tables={*ledger_tables(ws, "open_items"), "process_versions"})
        load_policy_tables(facts.con, ws, rules_only=True)
        _see_only(facts, invoice_keys)
        facts.con.execute("create schema if not exists dunning")
        for day in sorted(set(dates)):
            held |= {item: why for item, (_, _, why) in latest.items() if why is not None}
            latest = _on(facts, ws, day)
    for item, why in held.items():
        if item in latest and latest[item][2] is None:
            latest[item] = (*latest[item][:2], why)
    return latest


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
        select invoice_key, instalment, bill_group_key,
            cast(sign(open_amount) * ((2 * abs(cast(open_amount * 10000 as hugeint)) + e4_per_minor)
                // (2 * e4_per_minor)) as bigint) as open_minor,
            effective_due_date,
            case when is_account_blocked or is_bill_group_blocked or is_invoice_blocked then 'blocked'
                when is_disputed then 'disputed' when is_promised then 'promised for a later date' end as held_by
        from dunning.open_items
        inner join policy.currencies using (currency)
        """
    ).fetchall()
    with reading(open_ledger(ws)) as ledger:
        resting = paused(ledger, {row[2] for row in rows}, on=day)
    return {
        (key, instalment): (open_minor, due_on, why or ("paused by hand" if group in resting else None))
        for key, instalment, group, open_minor, due_on, why in rows
    }
