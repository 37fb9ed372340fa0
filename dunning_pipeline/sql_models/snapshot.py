"""Publishes what was built as a read-only DuckDB file of its own, and opens the newest one for everybody else."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.runner import quoted

SERVED = ("data_model", "unified", "dunning", "segments", "data_graph", "reports", "policy", "identity", "checks")
KEPT_SNAPSHOTS = 3
POINTER = "current"
# older command line tools of analysts read this format too
STORAGE_VERSION = "v1.5.0"


def publish(
    con: duckdb.DuckDBPyConnection, workspace: Workspace, *, run_id: str, run_date: date, now: datetime
) -> Path:
    """Copy the served schemas to `serving/<run_id>.duckdb`, point to it, and drop all but the newest snapshots.

    A file is written under another name and renamed when it is whole; the pointer is replaced atomically, so a reader
    sees the old snapshot or the new one, never a part. A file that a reader still holds open stays readable.
    """
    workspace.serving.mkdir(parents=True, exist_ok=True)
    target = workspace.serving / f"{run_id}.duckdb"
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    con.execute(f"attach '{_escaped(partial)}' as serving (storage_version '{STORAGE_VERSION}')")
    try:
        con.execute("begin")
        for schema, table in _tables(con):
            name = f"{quoted(schema)}.{quoted(table)}"
            con.execute(f"create schema if not exists serving.{quoted(schema)}")
            con.execute(f"create table serving.{name} as from {name}")
        con.execute("create table serving.main.snapshot (run_id varchar, run_date date, published_at timestamp)")
        con.execute("insert into serving.main.snapshot values (?, ?, ?)", [run_id, run_date, now.astimezone(UTC)])
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    finally:
        con.execute("detach serving")
    _flush(partial)
    partial.rename(target)
    _point_to(workspace, target)
    _prune(workspace)
    return target


def _tables(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    marks = ", ".join("?" for _ in SERVED)
    return con.execute(
        f"""
        select table_schema, table_name
        from information_schema.tables
        where table_catalog = current_database() and table_schema in ({marks}) and not ends_with(table_name, '__new')
        order by all
        """,
        list(SERVED),
    ).fetchall()


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


def snapshot_date(con: duckdb.DuckDBPyConnection) -> date:
    """The business date that the snapshot behind this connection was built for."""
    [(run_date,)] = con.execute("select run_date from main.snapshot").fetchall()
    return run_date
