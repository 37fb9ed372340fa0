"""Asserts before closing what the run decided: the listed amounts are still owed, and nothing holds them back since.

It asks the decision's own SQL (dunning.open_items) on the newest snapshot and the ledger of the moment: never a second
opinion on what is open, only the same question later.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import pyarrow

from dunning_pipeline.dunning.models import rendered_models
from dunning_pipeline.ledger.export import export_to_warehouse
from dunning_pipeline.money import to_minor
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.runner import RenderedModel, quoted
from dunning_pipeline.sql_models.snapshot import snapshot_file

Item = tuple[str, int]
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
    with _scratch(ws, invoice_keys) as con:
        for day in sorted(set(dates)):
            latest = _on(con, ws, day)
            held |= {item: now.held_by for item, now in latest.items() if now.held_by}
    return {item: Standing(now.open_minor, now.due_on, held.get(item)) for item, now in latest.items()}


@contextmanager
def _scratch(ws: Workspace, invoice_keys: Collection[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect()
    try:
        con.execute("set timezone = 'UTC'")
        file = str(snapshot_file(ws)).replace("'", "''")
        con.execute(f"attach '{file}' as snapshot (read_only)")
        con.execute("create schema data_model; create schema dunning; create schema ops")
        con.register("asked", pyarrow.table({"invoice_key": pyarrow.array(list(invoice_keys), pyarrow.string())}))
        names = con.execute(
            "select table_name from duckdb_tables() where database_name = 'snapshot' and schema_name = 'data_model'"
        ).fetchall()
        for (name,) in names:
            where = " where invoice_key in (select invoice_key from asked)" if name in _BY_INVOICE else ""
            kind = "table" if where else "view"
            con.execute(
                f"create {kind} data_model.{quoted(name)} as select * from snapshot.data_model.{quoted(name)}{where}"
            )
        export_to_warehouse(con, ws, tables=_ledger_tables(ws))
        yield con
    finally:
        con.close()


def _ledger_tables(ws: Workspace) -> set[str]:
    """The ledger's tables that open_items and its inputs read."""
    models = _models(ws, date.min)
    return {table for model in models for source, table in model.model.sources if source == "ops"}


def _models(ws: Workspace, day: date) -> list[RenderedModel]:
    return rendered_models(
        ws, run_date=day, kind="dunning", variables={}, catalogs={}, relations={}, up_to="open_items"
    )


def _on(con: duckdb.DuckDBPyConnection, ws: Workspace, day: date) -> dict[Item, Standing]:
    for model in _models(ws, day):
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
