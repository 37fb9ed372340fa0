"""What the rulesets as they are now would change: profiles made anew in a copy of the snapshot, compared, thrown away."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import Engine, select

from dunning_pipeline.identity.resolving import resolve
from dunning_pipeline.identity.steps.records import KINDS
from dunning_pipeline.ledger.engine import open_ledger_url, reading
from dunning_pipeline.ledger.export import export_to_warehouse
from dunning_pipeline.ledger.schema import identity_decisions
from dunning_pipeline.settings.scratch import scratch_folder
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.snapshot import snapshot_file

_HISTORY = ("unified_ids", "unified_id_events", "statements")  # what resolving reads of the ledger, as a build does


@dataclass(frozen=True)
class DryRun:
    """Profiles before and after by kind, and each record that would have company it has not, or lose some."""

    profiles: dict[str, tuple[int, int]]
    changes: list[dict[str, Any]]  # kind, record_key, change (joins | leaves), other_record, rule


def dry_run(ws: Workspace, ledger: Engine, *, now: datetime) -> DryRun:
    """Nothing of the workspace is written. Raises InvalidDeclaration for a wrong ruleset, NotThere before a build."""
    with scratch_folder(ws.state, "profiles-") as folder:  # beside the snapshot: there is room for another
        copy = folder / "copy.duckdb"
        shutil.copyfile(snapshot_file(ws), copy)
        con = duckdb.connect(str(copy))
        try:
            for kind in KINDS:
                con.execute(
                    f"create table main.before_{kind} as select record_key, unified_{kind}_id as id from identity.{kind}_links"
                )
            export_to_warehouse(con, ws, tables=_HISTORY)
            resolve(con, ws, run_id="dry-run", now=now, ledger=_decisions_only(ledger, folder))
            return DryRun(
                {kind: _counted(con, kind) for kind in KINDS}, [row for kind in KINDS for row in _changes(con, kind)]
            )
        finally:
            con.close()


def _decisions_only(ledger: Engine, folder: Path) -> Engine:
    """A ledger that lives as long as the copy: people's decisions are read from it, and what is written goes with it."""
    scratch = open_ledger_url(f"sqlite:///{folder / 'ledger.sqlite'}")
    with reading(ledger) as connection:
        rows = [dict(row._mapping) for row in connection.execute(select(identity_decisions))]
    if rows:
        with scratch.begin() as connection:
            connection.execute(identity_decisions.insert(), rows)
    return scratch


def _counted(con: duckdb.DuckDBPyConnection, kind: str) -> tuple[int, int]:
    sql = f"select (select count(distinct id) from main.before_{kind}), (select count(*) from identity.unified_{kind}s)"
    before, after = con.execute(sql).fetchall()[0]
    return int(before), int(after)


def _changes(con: duckdb.DuckDBPyConnection, kind: str) -> list[dict[str, Any]]:
    """Each record beside the first of those that it would newly be one with, or no longer."""
    sql = f"""
        with pairs as (
            select l.record_key, l.id as before, n.unified_{kind}_id as after, n.rule
            from main.before_{kind} as l join identity.{kind}_links as n using (record_key)
        ),
        joined as (
            select 'joins' as change, a.record_key, min(b.record_key) as other_record, any_value(a.rule) as rule
            from pairs as a join pairs as b on a.after = b.after and a.before <> b.before group by a.record_key
        ),
        parted as (
            select 'leaves' as change, a.record_key, min(b.record_key) as other_record, any_value(a.rule) as rule
            from pairs as a join pairs as b on a.before = b.before and a.after <> b.after group by a.record_key
        )
        select change, record_key, other_record, rule from joined union all select * from parted order by 1, 2
    """
    names = ("change", "record_key", "other_record", "rule")
    return [{"kind": kind, **dict(zip(names, row, strict=True))} for row in con.execute(sql).fetchall()]
