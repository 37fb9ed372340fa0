"""Asserts before closing what the run decided: the listed amounts are still owed, and nothing holds them back since.

It asks the decision's own SQL (dunning.open_items, dunning.open_credits) on the newest snapshot and the ledger of the
moment: never a second opinion on what is open, only the same question later.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow

from dunning_pipeline.dunning.credits import Holder, credits_by_holder
from dunning_pipeline.dunning.facts import Facts, open_facts
from dunning_pipeline.dunning.models import ledger_tables, rendered_models
from dunning_pipeline.dunning.policy_tables import load_policy_tables, model_variables
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.shapes import quoted
from dunning_pipeline.statements.assigning import paused

Item = tuple[str, int]
# Facts that the scratch views restrict to the accounts asked for; small tables are read whole.
# (instalments are read whole: they name their schedule, and only sometimes their invoice)
_BY_ACCOUNT = ("invoices", "payments", "credit_memos")
_BY_KEYS = {
    "payment_allocations": ("invoice_key", "payment_key"),
    "credit_applications": ("invoice_key", "credit_memo_key"),
    "payment_schedules": ("invoice_key",),
}
_TABLES = {"invoice_key": "invoices", "payment_key": "payments", "credit_memo_key": "credit_memos"}

# How an item stands now: what is open (minor units), when it is due, and what holds it back.
Standing = tuple[int, date | None, str | None]  # plain, because there are as many as items
_GONE: Standing = (0, None, None)


@dataclass
class Standings:
    """How things stand now: items by key and instalment, and the credits of whom they belong to (minor units)."""

    items: dict[Item, Standing] = field(default_factory=dict)
    credits: dict[Holder, int] = field(default_factory=dict)


def change_of(row: Mapping[str, Any], details: Sequence[Mapping[str, Any]], standings: Standings) -> str | None:
    """Why a draft with these lines may not be closed any more; None where it still stands.

    `standings` are those of today. What holds reminders back does not hold back a statement of account.
    """
    known = row["open_credits_minor"]
    holder = (row["account_key"], row["legal_entity"] or "", row["currency"])
    if known is not None and standings.credits.get(holder, 0) != known:
        return "the credits of the account have changed since the run; run again"
    for detail in details:
        if detail["type"] != "invoice":
            continue
        open_minor, due_on, held_by = standings.items.get((detail["invoice_key"], detail["instalment"] or 1), _GONE)
        if open_minor != detail["open_minor"]:
            return f"the open amount of {detail['invoice_number']} has changed since the run; run again"
        if row["kind"] == "dunning" and held_by is not None:
            return f"{detail['invoice_number']} is {held_by} since the run; run again"
        if due_on is not None and detail["due_date"] is not None and due_on > detail["due_date"]:
            return f"{detail['invoice_number']} is postponed since the run; run again"
    return None


def standings_of(ws: Workspace, account_keys: Collection[str], *, dates: Collection[date]) -> Standings:
    """How items and credits of these accounts stand: amounts as of the latest date, held back if on any date."""
    held: dict[Item, str] = {}  # of the earlier days
    latest: dict[Item, Standing] = {}
    with open_facts(ws, facts=None) as facts:
        facts.bring_ledger(ws, wanted=True, tables={*ledger_tables(ws, "open_items"), "process_versions"})
        load_policy_tables(facts.con, ws, rules_only=True)
        _see_only(facts, account_keys)
        facts.con.execute("create schema if not exists dunning")
        for day in sorted(set(dates)):
            held |= {item: why for item, (_, _, why) in latest.items() if why is not None}
            latest = _on(facts, ws, day)
        credits = credits_by_holder(facts.con)  # as of the last of these days
    for item, why in held.items():
        if item in latest and latest[item][2] is None:
            latest[item] = (*latest[item][:2], why)
    return Standings(latest, credits)


def _see_only(facts: Facts, account_keys: Collection[str]) -> None:
    con = facts.con
    con.execute("create schema if not exists asked")
    con.register("_asked", pyarrow.table({"account_key": pyarrow.array(list(account_keys), pyarrow.string())}))
    con.execute("create table asked.accounts as from _asked").fetchall()
    con.unregister("_asked")
    theirs = dict.fromkeys(_BY_ACCOUNT, "account_key in (from asked.accounts)") | {
        name: " or ".join(f"{key} in (select {key} from asked.{_TABLES[key]})" for key in keys)
        for name, keys in _BY_KEYS.items()
    }
    for name, condition in theirs.items():
        con.execute(f"create table asked.{name} as select * from {facts.table('data_model', name)} where {condition}")
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
        up_to=("open_items", "open_credits"),
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
