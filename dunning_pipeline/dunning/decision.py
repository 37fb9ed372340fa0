"""Makes the decision: who is at which level, for how much and why, from the published facts and the ledger of now.

The SQL of dbt_like_sql/dunning runs in a scratch database over the read-only snapshot, so nothing can be changed by
asking. Daily runs, single invoices, explain, simulate and back-tests all come through `decide`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from dunning_pipeline.dunning.facts import Facts, open_facts
from dunning_pipeline.dunning.models import DecisionModel, ledger_tables, rendered_models
from dunning_pipeline.dunning.policy_tables import load_policy_tables, model_variables
from dunning_pipeline.dunning.scope import Scope
from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.shapes import quoted

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Decision", "Scope", "ask_model", "decide"]

RESULTS = {
    "dunning": {"statements": "proposed_statements", "details": "proposed_details"},
    "account": {"statements": "account_statements", "details": "account_statement_details"},
}


@dataclass(frozen=True)
class Decision:
    """The answer as Arrow tables; amounts are integer minor units of the row's currency.

    decisions: one row per item (invoice_key, instalment, included, reason, level_before, level_after, inputs, …);
    statements and details: the proposals, joined by draft_key; assignments: bill groups seen for the first time;
    waivers: charges to be waived because their principal is paid; findings: kind, severity, object_kind, object_id,
    message; process_versions: content of every version that was used.
    """

    dunning_date: date
    scope: Scope
    decisions: "pa.Table"
    statements: "pa.Table"
    details: "pa.Table"
    assignments: "pa.Table"
    waivers: "pa.Table"
    findings: list[dict[str, Any]]
    process_versions: "pa.Table"
    snapshot: str | None = None
    facts_as_of: datetime | None = None  # last ingest of payments
    seconds: Mapping[str, float] = field(default_factory=dict)  # per model


def decide(
    ws: Workspace,
    *,
    dunning_date: date,
    scope: Scope | None = None,
    ledger: bool = True,
    facts: duckdb.DuckDBPyConnection | Path | None = None,
    processes: Mapping[str, Any] | None = None,
) -> Decision:
    """What a run of that date would propose, and the reason of every item; nothing is written.

    `facts` is a DuckDB file or connection with `data_model.*` (default: the published snapshot); `ops.*` comes from
    the ledger unless `facts` brings it or `ledger` is False. `processes` replaces the workspace's (back-tests).
    Raises NotThere for an unknown account, invoice or process, InvalidDeclaration for a wrong file.
    """
    scope = scope or Scope()
    with open_facts(ws, facts=facts) as opened:
        opened.limit_to(account=scope.account, invoice=scope.invoice, segment=scope.segment)
        opened.bring_ledger(ws, wanted=ledger)
        load_policy_tables(opened.con, ws, processes=processes, catalogs=opened.catalogs)
        known_process(opened.con, scope)
        seconds = run_models(opened, ws, dunning_date, scope)
        return _collect(opened, dunning_date, scope, seconds)


def ask_model(
    ws: Workspace,
    model: str,
    target: str,
    *,
    dunning_date: date,
    ledger: bool = True,
    facts: duckdb.DuckDBPyConnection | Path | None = None,
) -> list[dict[str, Any]]:
    """The rows of one of the decision's models about an account or an invoice, by the models that lead to it alone.

    `target` is a key, an id in the source or a number. Quick enough for a person who waits: of the ledger only the
    account's rows, no calendar of deadlines, no rates of law packs. Raises NotThere.
    """
    with open_facts(ws, facts=facts) as opened:
        account_key, invoice_key = opened.find(target)
        opened.limit_to_account(account_key)
        opened.bring_ledger(ws, wanted=ledger, tables={*ledger_tables(ws, model), "process_versions"})
        load_policy_tables(opened.con, ws, catalogs=opened.catalogs, rules_only=True)
        con = opened.con
        models = rendered_models(
            ws, run_date=dunning_date, kind="dunning", variables=_variables(opened, Scope(account=account_key)),
            catalogs=opened.catalogs, relations=opened.relations, up_to=[model],
        )  # fmt: skip
        con.execute("create schema if not exists dunning")
        for needed in models:
            _make(con, needed)
        mine = f"account_key = '{_escaped(account_key)}'"
        if invoice_key is not None:
            mine += f" and invoice_key = '{_escaped(invoice_key)}'"
        result = con.execute(f"select * from dunning.{model} where {mine} order by all")
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def known_process(con: duckdb.DuckDBPyConnection, scope: Scope) -> None:
    """Raises NotThere for a process that is neither declared nor still run by cases that began in it."""
    if scope.process is None:
        return
    names = [name for (name,) in con.execute("select distinct process from policy.processes order by all").fetchall()]
    if scope.process not in names:
        raise NotThere(f"there is no process {scope.process!r}", remedy=f"one of: {', '.join(names)}")


def run_models(opened: Facts, ws: Workspace, dunning_date: date, scope: Scope) -> dict[str, float]:
    """Run the decision's SQL for one date in the scratch database; seconds per model. `policy` and `ops` are there."""
    con = opened.con
    con.execute("create schema if not exists dunning")
    rendered = partial(
        rendered_models, ws, run_date=dunning_date, kind=scope.kind, variables=_variables(opened, scope),
        catalogs=opened.catalogs,
    )  # fmt: skip
    # who is written to is asked for the accounts that get a statement, not for all
    debts = rendered(relations=opened.relations, part="debts")
    seconds = {model.name: _make(con, model) for model in debts}
    owing = ("draft_items", "charge_drafts") if scope.kind == "dunning" else ("open_items",)
    addressed = opened.addressed(" union ".join(f"select account_key from dunning.{name}" for name in owing))
    return seconds | {model.name: _make(con, model) for model in rendered(relations=addressed, part="recipients")}


def _variables(opened: Facts, scope: Scope) -> dict[str, Any]:
    return {
        **model_variables(opened.con),
        "scope_levels": list(scope.levels) if not scope.invoice else [],
        "forced_level": scope.levels[0] if scope.invoice and scope.levels else 0,
        "scope_invoice": opened.invoice_key or "",
        "scope_process": scope.process or "",
    }


def _make(con: duckdb.DuckDBPyConnection, model: DecisionModel) -> float:
    started = time.perf_counter()
    kind = "view" if model.is_view else "table"
    con.execute(f"create or replace {kind} dunning.{quoted(model.name)} as {model.sql}")
    return time.perf_counter() - started


def _collect(opened: Facts, dunning_date: date, scope: Scope, seconds: dict[str, float]) -> Decision:
    con = opened.con
    names = RESULTS[scope.kind]
    decisions = "select * from dunning.decisions"
    if opened.invoice_key is not None:
        decisions += f" where invoice_key = '{_escaped(opened.invoice_key)}'"
    elif opened.account_key is not None:
        decisions += f" where account_key = '{_escaped(opened.account_key)}'"

    def table(sql: str) -> "pa.Table":
        return con.sql(sql).to_arrow_table()

    return Decision(
        dunning_date=dunning_date,
        scope=scope,
        decisions=table(f"{decisions} order by account_key, invoice_number, invoice_key, instalment"),
        statements=table(f"select * from dunning.{names['statements']} order by account_key, draft_key"),
        details=table(f"select * from dunning.{names['details']} order by draft_key, position"),
        assignments=table(
            f"""
            select bill_group_key, account_key, process, process_hash, origin, {_sql(dunning_date)} as valid_from
            from dunning.bill_group_assignments
            where not is_recorded and process is not null
            order by bill_group_key
            """
        ),
        waivers=table(
            """
            select posting_id, account_key, currency, unpaid_minor
            from dunning.settled_charges
            where treatment = 'waive'
            order by posting_id
            """
        ),
        findings=table("select * from dunning.decision_findings order by all").to_pylist(),
        process_versions=table("select process_hash, process, content from policy.versions order by all"),
        snapshot=opened.snapshot,
        facts_as_of=_facts_as_of(con),
        seconds=seconds,
    )


def _facts_as_of(con: duckdb.DuckDBPyConnection) -> datetime | None:
    [(at,)] = con.execute("select max(loaded_at) from ops.stream_loads where object ilike 'Payment%'").fetchall()
    return at.replace(tzinfo=UTC) if at is not None else None


def _sql(day: date) -> str:
    return f"cast('{day.isoformat()}' as date)"


def _escaped(text: str) -> str:
    return text.replace("'", "''")
