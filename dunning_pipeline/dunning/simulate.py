"""Plays days forward (or back through history) with the real decision, and tells what would be sent to whom.

Every proposed statement counts as sent on its day, in the scratch database only: levels, intervals, fees and interest
follow from there as they would in life.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import orjson

from dunning_pipeline.dunning.decision import known_process, run_models
from dunning_pipeline.dunning.facts import Facts, open_facts
from dunning_pipeline.dunning.policy_tables import load_policy_tables
from dunning_pipeline.dunning.processes import DeclaredProcess, load_processes, read_process
from dunning_pipeline.dunning.scope import Scope
from dunning_pipeline.errors import InvalidInput, NotThere
from dunning_pipeline.money import amount_text
from dunning_pipeline.settings.workspace import Workspace

Progress = Callable[[str, int, int], None]  # what is being done, how many days are done, of how many
Behaviour = Literal["nobody", "observed"]
MAX_DAYS = 400


@dataclass(frozen=True)
class Played:
    """One statement that would go out. `please_pay_minor` in minor units of `currency`."""

    day: date
    account_id: str
    account_name: str
    process: str
    level: int
    level_name: str
    channels: str
    currency: str
    please_pay_minor: int
    items: int

    def as_json(self) -> dict[str, Any]:
        return {
            "date": self.day.isoformat(),
            "account_id": self.account_id,
            "account_name": self.account_name,
            "process": self.process,
            "level": self.level,
            "level_name": self.level_name,
            "channels": orjson.loads(self.channels),
            "currency": self.currency,
            "please_pay": amount_text(self.please_pay_minor, self.currency),
            "items": self.items,
        }


def simulate(
    ws: Workspace,
    *,
    start: date,
    days: int,
    scope: Scope | None = None,
    pays: Behaviour = "nobody",
    facts: duckdb.DuckDBPyConnection | Path | None = None,
    ledger: bool = True,
    progress: Progress | None = None,
) -> list[Played]:
    """What would go out from `start` on, over `days` days, if nobody pays or if all pay as late as they are used to.

    `observed`: each open item is paid on its due date plus the account's median delay so far (of all accounts where
    it has no history); items past that day stay unpaid. Raises InvalidInput, NotThere.
    """
    return _play(
        ws, start=start, days=days, every=1, scope=scope, pays=pays, facts=facts, ledger=ledger, progress=progress
    )


def backtest(
    ws: Workspace,
    changed: Path,
    *,
    start: date,
    end: date,
    every: int = 1,
    facts: duckdb.DuckDBPyConnection | Path | None = None,
) -> list[dict[str, Any]]:
    """How a changed process file would have treated the history, beside the process of that name as it is now.

    Both are played from `start` to `end` (every `every` days) with the payments that really came, from no level on.
    One row per account and currency that differs or has statements: statements, messages, highest level and amount
    asked last, now and changed. Raises NotThere where no process has that name.
    """
    declared = read_process(changed)
    now = load_processes(ws)
    if declared.process.process not in now:
        raise NotThere(
            f"there is no process {declared.process.process!r} to compare with",
            file=changed,
            remedy=f"one of: {', '.join(now)}",
        )
    days = (end - start).days + 1
    played = [
        _play(
            ws,
            start=start,
            days=days,
            every=every,
            scope=Scope(process=declared.process.process),
            pays="nobody",
            facts=facts,
            ledger=False,
            processes=processes,
        )
        for processes in (now, {**now, declared.process.process: declared})
    ]
    return _compared(*played)


def _play(
    ws: Workspace,
    *,
    start: date,
    days: int,
    every: int,
    scope: Scope | None,
    pays: Behaviour,
    facts: duckdb.DuckDBPyConnection | Path | None,
    ledger: bool,
    processes: Mapping[str, DeclaredProcess] | None = None,
    progress: Progress | None = None,
) -> list[Played]:
    if not 1 <= -(-days // every) <= MAX_DAYS:
        raise InvalidInput(f"between 1 and {MAX_DAYS} days can be played", value=-(-days // every))
    scope = scope or Scope()
    found: list[Played] = []
    with open_facts(ws, facts=facts) as opened, _undone(opened.con):
        opened.limit_to(account=scope.account, invoice=scope.invoice, segment=scope.segment)
        opened.bring_ledger(ws, wanted=ledger)
        load_policy_tables(opened.con, ws, processes=processes, catalogs=opened.catalogs)
        known_process(opened.con, scope)
        if pays == "observed":
            _pay_as_observed(opened, start)
        for offset in range(0, days, every):
            day = start + timedelta(days=offset)
            run_models(opened, ws, day, scope)
            found += _proposed(opened, day)
            _count_as_sent(opened.con, day)
            if progress is not None:
                progress("playing", offset + 1, days)
    return found


@contextmanager
def _undone(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Nothing that is played stays, not even in a database that was handed in."""
    con.begin()
    try:
        yield
    finally:
        con.rollback()


def _proposed(opened: Facts, day: date) -> list[Played]:
    rows = opened.con.execute(
        """
        select s.account_id, s.account_name, s.process, s.level, s.level_name, s.channels, s.currency,
            s.please_pay_minor, count(*) filter (where d.type = 'invoice')
        from dunning.proposed_statements as s
        inner join dunning.proposed_details as d on d.draft_key = s.draft_key
        group by s.draft_key, 1, 2, 3, 4, 5, 6, 7, 8
        order by s.account_id, s.draft_key
        """
    ).fetchall()
    return [Played(day, *row) for row in rows]


def _count_as_sent(con: duckdb.DuckDBPyConnection, day: date) -> None:
    """Write today's proposals into the scratch copy of the ledger as if they had been closed and sent."""
    key, on = f"'{day.isoformat()}|' || draft_key", f"cast('{day.isoformat()}' as date)"
    con.execute(
        f"""
        insert into ops.statements by name
        select {key} as statement_id, 'dunning' as kind, 'closed' as status, {on} as dunning_date, account_key,
            bill_group_key, unit_key, legal_entity, process, process_hash, level, currency, false as do_not_send
        from dunning.proposed_statements;

        insert into ops.statement_details by name
        select {key} as statement_id, position, type, invoice_key, instalment, level
        from dunning.proposed_details;

        insert into ops.item_levels by name
        select {key} || invoice_key || instalment as item_level_id, invoice_key, instalment, listed_level as level,
            process, 'reached' as event, {key} as statement_id, {on} as sent_on, {on} + 7 as deadline,
            phase = 'notice' as is_before_due
        from dunning.draft_items;

        update ops.item_levels set deadline = s.due_date
        from dunning.proposed_statements as s
        where ops.item_levels.statement_id = '{day.isoformat()}|' || s.draft_key;

        insert into ops.postings by name
        select {key} || position as posting_id, {key} || position as posting_key, d.type, {key} as statement_id,
            s.account_key, s.bill_group_key, s.legal_entity, d.invoice_key, d.instalment, d.level, s.currency,
            d.amount_minor, {on} as posted_on
        from (select *, draft_key as own_key from dunning.proposed_details) as d
        inner join (select draft_key as its_key, account_key, bill_group_key, legal_entity, currency
            from dunning.proposed_statements) as s on s.its_key = d.own_key
        where d.type in ('fee', 'interest', 'compensation');
        """
    )


def _pay_as_observed(opened: Facts, start: date) -> None:
    """Add a payment of every open item on the day on which this account is used to pay."""
    con, on = opened.con, f"cast('{start.isoformat()}' as date)"
    invoices, allocations = opened.relation("invoices"), opened.relation("payment_allocations")
    con.execute(
        f"""
        create schema if not exists scope;
        create or replace table scope.delays as
        select i.account_key, a.applied_date - i.due_date as days_late
        from {allocations} as a
        inner join {invoices} as i on i.invoice_key = a.invoice_key
        where a.applied_date < {on} and a.allocation_type is distinct from 'unapplied';

        create or replace table scope.expected as
        select i.invoice_key, i.total_amount as amount,
            cast(i.due_date + cast(coalesce(
                (select quantile_cont(days_late, 0.5) from scope.delays as d where d.account_key = i.account_key),
                (select quantile_cont(days_late, 0.5) from scope.delays), 0) as integer) as date) as pay_on
        from {invoices} as i
        where i.status = 'posted';

        create or replace table scope.payments_to_come as
        select * from {allocations} as a where a.applied_date < {on}
        union all by name
        select 'expected:' || e.invoice_key as allocation_key, 'expected' as source, e.invoice_key,
            cast(e.amount - coalesce((select sum(a.amount) from {allocations} as a
                where a.invoice_key = e.invoice_key and a.applied_date < {on}), 0) as decimal(19, 4)) as amount,
            'applied' as allocation_type, e.pay_on as applied_date
        from scope.expected as e
        where e.pay_on >= {on};
        """
    )
    opened.relations["data_model.payment_allocations"] = "scope.payments_to_come"


def _compared(now: list[Played], changed: list[Played]) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for side, played in (("now", now), ("changed", changed)):
        for one in played:
            row = rows.setdefault(
                (one.account_id, one.currency),
                {"account_id": one.account_id, "account_name": one.account_name, "currency": one.currency}
                | {f"{name}_{which}": 0 for name in ("statements", "messages", "level") for which in ("now", "changed")}
                | {f"asked_last_{which}": None for which in ("now", "changed")},
            )
            row[f"statements_{side}"] += 1
            row[f"messages_{side}"] += one.channels.count('"') // 2
            row[f"level_{side}"] = max(row[f"level_{side}"], one.level)
            row[f"asked_last_{side}"] = amount_text(one.please_pay_minor, one.currency)
    for row in rows.values():
        row["differs"] = any(
            row[f"{name}_now"] != row[f"{name}_changed"] for name in ("statements", "level", "asked_last")
        )
    return [rows[key] for key in sorted(rows)]
