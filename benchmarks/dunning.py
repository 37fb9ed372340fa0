"""Figures of the dunning itself: drafts and closings against bare bulk statements of the same rows, explain, PDFs.

`python -m benchmarks.dunning [--scale 1.0] [--database sqlite|postgresql] [--only NAME]`

BENCH_CLOCK=cpu counts this process's CPU time instead of the clock (right for SQLite, which works in the process).
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb

from benchmarks import dunning_bare as bare
from dunning_pipeline.ledger.engine import dispose, open_ledger
from dunning_pipeline.ledger.schema import runs, statements
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.closing import close
from dunning_pipeline.statements.drafting.drafts import store_drafts
from dunning_pipeline.statements.drafting.proposals import Proposals

ROOT = Path(__file__).resolve().parents[1]
DAY = date(2026, 1, 8)
NOW = datetime(2026, 1, 8, 9, tzinfo=UTC)
RUN = "2026-01-08-dunning"
# on a machine that others use too, the processors' time says more than the clock on the wall
CLOCK = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter
# (what, floor): a share of the bare operation's speed, or seconds
FLOORS = {"drafts": 0.50, "closing": 0.30, "closing_seconds": 60.0, "explain_seconds": 1.0, "pdf": 0.90}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1.0: 120,000 drafts, 100,000 closings")
    parser.add_argument("--statements", type=int)
    parser.add_argument("--close", type=int)
    parser.add_argument("--pdfs", type=int, default=1_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--only", choices=("drafts", "closing", "explain", "pdf"), action="append")
    given = parser.parse_args()
    given.statements = given.statements or max(int(120_000 * given.scale), 100)
    given.close = given.close or min(int(100_000 * given.scale), given.statements)
    wanted = given.only or ["drafts", "closing", "explain", "pdf"]
    below = []
    for database in given.database or ["sqlite", "postgresql"]:
        with _workspace(database) as ws:
            if ws is None:
                print(f"{database}: not installed, left out")
                continue
            below += _figures(ws, database, wanted, given)
    for name in below:
        print(f"BELOW ITS FLOOR: {name}")
    return 1 if below else 0


def _figures(ws: Workspace, database: str, wanted: list[str], given: Any) -> Iterator[str]:
    if wanted == ["pdf"]:
        given.statements = given.pdfs
    facts = _facts(given.statements)
    if {"drafts", "closing", "explain", "pdf"} & set(wanted):
        share = _drafts(ws, facts, given.statements)
        print(f"{database}: drafts at {share:.0%} of a bare bulk insert (floor {FLOORS['drafts']:.0%})")
        if share < FLOORS["drafts"] and "drafts" in wanted:
            yield f"{database} drafts"
    if "closing" in wanted:
        share, seconds = _closing(ws, facts, given.close)
        print(
            f"{database}: {given.close:,} closed in {seconds:.1f} s (at most {FLOORS['closing_seconds']:.0f}), "
            f"at {share:.0%} of a bare bulk update (floor {FLOORS['closing']:.0%})"
        )
        if share < FLOORS["closing"] or seconds > FLOORS["closing_seconds"]:
            yield f"{database} closing"
    if "explain" in wanted:
        seconds, command = _explain(ws)
        print(
            f"{database}: explain of one account in {seconds:.2f} s (below {FLOORS['explain_seconds']} s), "
            f"as a command {command:.2f} CPU s"
        )
        if seconds >= FLOORS["explain_seconds"]:
            yield f"{database} explain"
    if "pdf" in wanted and database == "sqlite":
        share, rate = _pdfs(ws, facts, given.pdfs)
        print(f"{given.pdfs:,} PDFs: {rate:.0f}/s, {share:.0%} of bare typst on all cores (floor {FLOORS['pdf']:.0%})")
        if share < FLOORS["pdf"]:
            yield "pdf"


# -- the same proposals for everything ---------------------------------------------------------------------------------


def _facts(count: int) -> Any:
    """A decision of `count` statements with an invoice, an interest and a fee line each, and the invoices behind it."""
    con = duckdb.connect()
    con.execute(f"create table n as select range as n from range({count})")
    address = '{"name":"Customer","street":"Weg 1","postal_code":"53111","city":"Bonn","country":"DE"}'
    queries = {
        "statements": f"""
            select 'k' || n as draft_key, 'dunning' as kind, date '{DAY}' as dunning_date, 's:' || n as account_key,
                'a' || n as account_id, 'Customer ' || n as account_name, 's:' || n as bill_group_key,
                's:' || n as unit_key, 'standard' as process, 'h' as process_hash, 2 as level, 'Second' as level_name,
                'EUR' as currency, date '{DAY}' + 14 as due_date, 'en' as language, 'Europe/Berlin' as time_zone,
                'second_reminder' as template, '["email"]' as channels, 'automatic' as approval,
                true as attach_invoices, false as do_not_send,
                '{{"to":["c' || n || '@example.com"],"cc":[],"bcc":[],"sms":[]}}' as recipients, '{address}' as address,
                10000 + n as principal_minor, 0 as credits_minor, 100 as interest_minor, 500 as fees_minor,
                10600 + n as please_pay_minor, null::varchar as hold_reason
            from n""",
        "details": f"""
            select 'k' || n as draft_key, position, type, 's:i' || n as invoice_key, 'i' || n as invoice_id,
                'INV-' || n as invoice_number, 1 as instalment, 2 as level, date '{DAY}' - 30 as due_date,
                30 as days_overdue, 10000 + n as original_minor,
                case when type = 'invoice' then 10000 + n end as open_minor,
                case type when 'invoice' then 10000 + n when 'interest' then 100 else 500 end as amount_minor,
                type = 'invoice' as advances
            from n, (values (1, 'invoice'), (2, 'interest'), (3, 'fee')) as lines (position, type)""",
        "decisions": """
            select 'k' || n as draft_key, 's:' || n as account_key, 's:i' || n as invoice_key, 1 as instalment,
                true as included, 'advances' as reason, 1 as level_before, 2 as level_after, 'standard' as process,
                'h' as process_hash, '{"days_overdue":30,"open_amount":"100.00"}' as inputs
            from n""",
    }
    tables = {name: con.sql(query).to_arrow_table() for name, query in queries.items()}
    con.close()
    return SimpleNamespace(**tables)


def _publish(ws: Workspace, count: int) -> None:
    """The snapshot in which these invoices are still open."""
    from tests.scenarios.facts import Facts

    file = Facts().publish(ws, "bench")
    with duckdb.connect(str(file)) as con:
        con.execute(
            f"""
            insert into data_model.invoices by name
            select 's:i' || range as invoice_key, 's' as source, 'i' || range as invoice_id,
                'INV-' || range as invoice_number, 's:' || range as account_key, 'posted' as status,
                date '{DAY}' - 60 as invoice_date, date '{DAY}' - 30 as due_date, 'EUR' as currency,
                (10000 + range) / 100.0::decimal(19,4) as total_amount
            from range({count})
            """
        )
        con.execute(
            f"""
            insert into data_model.accounts by name
            select 's:' || range as account_key, 's' as source, 'a' || range as account_id, 'Customer ' || range as name
            from range({count})
            """
        )


# -- the figures -------------------------------------------------------------------------------------------------------


def _drafts(ws: Workspace, decision: Any, count: int) -> float:
    engine = open_ledger(ws)
    with engine.begin() as connection:
        connection.execute(
            runs.insert().values(
                run_id=RUN, kind="dunning", dunning_date=DAY, scope={}, status="running", started_at=NOW, created_by="b"
            )
        )
    started = CLOCK()
    proposals = Proposals(decision)
    compared = proposals.compare(engine)
    store_drafts(engine, proposals, compared, run_id=RUN, stale=[], now=NOW, actor="bench")
    ours = CLOCK() - started
    proposals.close()
    floor = bare.insert_drafts(ws, clock=CLOCK)
    print(f"  {count:,} drafts: {ours:.1f} s, bare {floor:.1f} s ({count / ours:,.0f} statements/s)")
    return floor / ours


def _closing(ws: Workspace, decision: Any, count: int) -> tuple[float, float]:
    _publish(ws, decision.statements.num_rows)
    ids = [row[0] for row in bare.all_rows(ws, statements)[:count]]
    started = CLOCK()
    report = close(ws, ids, now=NOW, actor="bench", pdf=False)
    ours = CLOCK() - started
    assert len(report.closed) == len(ids), next(iter(report.refused.values()))
    floor = bare.close_drafts(ws, set(ids), clock=CLOCK)
    print(f"  {count:,} closed: {ours:.1f} s, bare {floor:.1f} s ({count / ours:,.0f} statements/s)")
    return floor / ours, ours


def _explain(ws: Workspace) -> tuple[float, float]:
    """(seconds in a process that is warm, CPU seconds of the whole command)."""
    from dunning_pipeline.dunning.explain import explain

    if not (ws.serving / "current").exists():
        _publish(ws, 120_000)
    explain(ws, "a7", dunning_date=DAY)  # the first one compiles the models
    times = []
    for _ in range(3):
        started = CLOCK()
        explain(ws, "a8", dunning_date=DAY)
        times.append(CLOCK() - started)
    program = [str(Path(sys.executable).parent / "dunning"), "explain", "a8", "--date", str(DAY), "--workspace"]
    used = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*program, str(ws.root)], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times), min(used)


def _pdfs(ws: Workspace, decision: Any, count: int) -> tuple[float, float]:
    """(share of bare typst on the same cores, letters per second) of the statements' letters, all cores used."""
    from benchmarks.dunning_pdfs import measure

    if not (ws.serving / "current").exists():
        _publish(ws, decision.statements.num_rows)
    ids = [row[0] for row in bare.all_rows(ws, statements)[:count]]
    close(ws, ids, now=NOW, actor="bench", pdf=False)
    return measure(ws, ids, clock=CLOCK, now=NOW)


@contextmanager
def _workspace(database: str) -> Iterator[Workspace | None]:
    folder = Path(tempfile.mkdtemp(prefix="bench-dunning-"))
    for name in ("policies", "templates", "dbt_like_sql"):
        shutil.copytree(ROOT / name, folder / name)
    ws = Workspace(folder)
    try:
        if database == "sqlite":
            yield ws
            return
        from tests.ledger.postgres import Server, has_postgres

        if not has_postgres():
            yield None
            return
        with Server.start(folder) as server:
            os.environ["DUNNING_LEDGER_URL"] = server.fresh_database()
            try:
                yield ws
            finally:
                dispose(ws.ledger_url)
                del os.environ["DUNNING_LEDGER_URL"]
    finally:
        dispose(ws.ledger_url)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
