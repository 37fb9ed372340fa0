"""Publishes what was built as a read-only DuckDB file of its own, and opens the newest one for everybody else."""

import os
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.shapes import quoted

SERVED = ("data_model", "unified", "dunning", "segments", "data_graph", "reports", "policy", "identity", "checks")
KEPT_SNAPSHOTS = 3
POINTER = "current"


def publish(
    con: duckdb.DuckDBPyConnection, workspace: Workspace, *, run_id: str, run_date: date, now: datetime
) -> Path:
    """Publish the served schemas as `serving/<run_id>.duckdb`, point to it, and drop all but the newest snapshots.

    The warehouse's file is copied and what is not served is dropped from the copy: writing all rows again costs ten
    times as much. A file is made under another name and renamed when it is whole; the pointer is replaced atomically,
    so a reader sees the old snapshot or the new one, never a part. A file that a reader holds open stays readable.
    """
    workspace.serving.mkdir(parents=True, exist_ok=True)
    target = workspace.serving / f"{run_id}.duckdb"
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    con.execute("force checkpoint")
    # another process reads it: closing the file here would give up this process's lock on it
    subprocess.run(["cp", str(workspace.warehouse), str(partial)], check=True)
    con.execute(f"attach '{_escaped(partial)}' as serving")
    try:
        _keep_served(con)
        con.execute(
            "create or replace table serving.main.snapshot (run_id varchar, run_date date, published_at timestamp)"
        )
        con.execute("insert into serving.main.snapshot values (?, ?, ?)", [run_id, run_date, now.astimezone(UTC)])
    finally:
        con.execute("detach serving")
    _flush(partial)
    partial.rename(target)
    _point_to(workspace, target)
    _prune(workspace)
    return target


def _keep_served(con: duckdb.DuckDBPyConnection) -> None:
    """Drop every schema of the copy that is not served; served views that read one become tables first."""
    found = con.execute("select schema_name from duckdb_schemas() where database_name = 'serving' and not internal")
    unserved = [schema for (schema,) in found.fetchall() if schema not in (*SERVED, "main")]
    views = con.execute(
        "select schema_name, view_name, sql from duckdb_views() where database_name = 'serving' and not internal"
    ).fetchall()
    for schema, view, sql in views:
        if schema in SERVED and any(f"{other}." in sql.replace('"', "") for other in unserved):
            name, table = f"serving.{quoted(schema)}.{quoted(view)}", quoted(f"{view}__table")
            con.execute(f"create table serving.{quoted(schema)}.{table} as from {name}")
            con.execute(f"drop view {name}")
            con.execute(f"alter table serving.{quoted(schema)}.{table} rename to {quoted(view)}")
    for schema in unserved:
        con.execute(f"drop schema serving.{quoted(schema)} cascade")


def _point_to(workspace: Workspace, target: Path) -> None:
    fresh = workspace.serving / f"{POINTER}.new"
    fresh.write_text(target.name + "\n", encoding="utf-8")
    _flush(fresh)
    fresh.replace(workspace.serving / POINTER)


def _prune(workspace: Workspace) -> None:
    files = sorted(workspace.serving.glob("*.duckdb"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for file in files[KEPT_SNAPSHOTS:]:
        file.unlink(missing_ok=True)
    for file in workspace.serving.glob("*.partial*"):
        file.unlink(missing_ok=True)


def _flush(file: Path) -> None:
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")


def snapshot_file(workspace: Workspace) -> Path:
    """The file of the newest published snapshot; raises NotThere before the first build."""
    try:
        name = (workspace.serving / POINTER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        name = ""
    file = workspace.serving / name
    if not name or not file.is_file():
        raise NotThere("nothing is published yet", remedy="run `dunning ingest` and `dunning build` first")
    return file


def open_snapshot(workspace: Workspace) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the newest published snapshot; the caller closes it. Raises NotThere."""
    for _ in range(3):
        try:
            con = duckdb.connect(str(snapshot_file(workspace)), read_only=True)
            break
        except duckdb.IOException:  # pruned between reading the pointer and opening: read the pointer again
            continue
    else:
        con = duckdb.connect(str(snapshot_file(workspace)), read_only=True)
    con.execute("set timezone = 'UTC'")
    return con


def note_loads(con: duckdb.DuckDBPyConnection) -> None:
    """Write down in the warehouse which loads its models contain, as `main.loads`: the snapshot carries it along.

    Called when every model was built after `ops.stream_loads` was brought in; a build of some models leaves the
    previous list in place.
    """
    known = "select 1 from duckdb_tables() where schema_name = 'ops' and table_name = 'stream_loads'"
    if not con.execute(known).fetchall():
        return  # without a ledger there is nothing to say, and delivery takes silence for "contains none"
    con.execute(
        "create or replace table main.loads as "
        "select distinct split_part(load_id, ':', 1) as load_id from ops.stream_loads"
    )


def snapshot_date(con: duckdb.DuckDBPyConnection) -> date:
    """The business date that the snapshot behind this connection was built for."""
    [(run_date,)] = con.execute("select run_date from main.snapshot").fetchall()
    return run_date
