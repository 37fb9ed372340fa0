"""Merges a staged extract into its landing table: newer rows replace older ones, what is gone is closed."""

from dataclasses import dataclass

import duckdb

from dunning_pipeline.data_streams.declaration import StreamSource
from dunning_pipeline.data_streams.landing_tables import (
    ROW_STATE,
    declared_types,
    ensure_landing_table,
    existing_types,
    landing_table,
    quoted,
)


@dataclass(frozen=True)
class MergeCounts:
    changed: int
    closed: int


def merge(
    con: duckdb.DuckDBPyConnection,
    stream: StreamSource,
    name: str,
    *,
    staged: str,
    close_absent: bool,
    kept_keys: str,
) -> MergeCounts:
    """Bring `staged` (typed rows, unique keys) into the landing table.

    `close_absent` closes rows whose key is not staged, except the keys of the table `kept_keys` (rejected rows keep
    their older version). Loading the same rows again changes nothing.
    """
    if not existing_types(con, stream, name):
        return _first_load(con, stream, name, staged)
    ensure_landing_table(con, stream, name)
    target, arriving = landing_table(stream, name), _columns(con, staged)
    present = {column.lower() for column in existing_types(con, stream, name)}
    for column in arriving:
        if column.lower() not in present:
            data_type = declared_types(stream, name).get(column, "varchar")
            con.execute(f"alter table {target} add column {quoted(column)} {data_type}")
    values = [column for column in arriving if column not in ROW_STATE]
    there = {column.lower() for column in arriving}
    absent = [c for c in declared_types(stream, name) if c.lower() not in there and c.lower() in present]
    job = _Merge(con, target, staged, stream.objects[name].key, values, absent)
    counts = _replace_changed(job)
    if not close_absent:
        return counts
    return MergeCounts(counts.changed, counts.closed + _close_absent(job, kept_keys))


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [row[0] for row in con.execute(f"describe {table}").fetchall()]


def _first_load(con: duckdb.DuckDBPyConnection, stream: StreamSource, name: str, staged: str) -> MergeCounts:
    con.execute(f"alter table {staged} rename to {landing_table(stream, name).split('.')[1]}")
    ensure_landing_table(con, stream, name)
    rows, closed = con.execute(
        f"select count(*), count(*) filter (_is_deleted) from {landing_table(stream, name)}"
    ).fetchone()  # type: ignore[misc]
    return MergeCounts(int(rows), int(closed))


@dataclass(frozen=True)
class _Merge:
    con: duckdb.DuckDBPyConnection
    target: str
    staged: str
    key: tuple[str, ...]
    values: list[str]  # columns that arrive
    absent: list[str]  # declared columns that no longer arrive: null in the new version


def _same_key(key: tuple[str, ...], *, as_text: bool = False) -> str:
    left = "s.{0} = cast(t.{0} as varchar)" if as_text else "s.{0} = t.{0}"
    return " and ".join(left.format(quoted(column)) for column in key)


def _replace_changed(job: _Merge) -> MergeCounts:
    """Rows that are new, or not older and different, replace what is there."""
    same = _same_key(job.key)
    differs = " or ".join(
        [f"s.{quoted(column)} is distinct from t.{quoted(column)}" for column in job.values]
        + [f"t.{quoted(column)} is not null" for column in job.absent]
        + ["s._is_deleted <> t._is_deleted"]
    )
    not_older = "coalesce(s._modified_at >= t._modified_at, true)"
    job.con.execute(
        f"create or replace temp table _changes as select s.*, t._is_deleted as _was_deleted "
        f"from {job.staged} s left join {job.target} t on {same} "
        f"where t._source is null or ({not_older} and ({differs}))"
    )
    counts = job.con.execute(
        "select count(*), count(*) filter (_is_deleted and not coalesce(_was_deleted, false)) from _changes"
    ).fetchone()
    columns = ", ".join(quoted(column) for column in (*job.values, *ROW_STATE))
    job.con.execute(f"delete from {job.target} t using _changes s where {same}")
    job.con.execute(f"insert into {job.target} ({columns}) select {columns} from _changes")
    job.con.execute("drop table _changes")
    return MergeCounts(int(counts[0]), int(counts[1])) if counts else MergeCounts(0, 0)


def _close_absent(job: _Merge, kept_keys: str) -> int:
    condition = (
        f"not t._is_deleted and not exists (select 1 from {job.staged} s where {_same_key(job.key)}) "
        f"and not exists (select 1 from {kept_keys} s where {_same_key(job.key, as_text=True)})"
    )
    closed = job.con.execute(f"update {job.target} t set _is_deleted = true where {condition}").fetchone()
    return int(closed[0]) if closed else 0
