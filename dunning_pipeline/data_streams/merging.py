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
    kept_keys: str | None,
) -> MergeCounts:
    """Bring `staged` (typed rows, unique keys) into the landing table.

    `close_absent` closes rows whose key is not staged, except the keys of the table `kept_keys` (rejected rows keep
    their older version). Loading the same rows again changes nothing.
    """
    if not existing_types(con, stream, name):
        return _first_load(con, stream, name, staged)
    ensure_landing_table(con, stream, name)
    target = landing_table(stream, name)
    present = existing_types(con, stream, name)
    arriving = _columns(con, staged)
    for column in arriving:
        if column.lower() not in {known.lower() for known in present}:
            con.execute(f"alter table {target} add column {quoted(column)} varchar")
    return _merge_rows(con, stream, name, target, staged, arriving, close_absent, kept_keys)


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [row[0] for row in con.execute(f"describe {table}").fetchall()]


def _first_load(con: duckdb.DuckDBPyConnection, stream: StreamSource, name: str, staged: str) -> MergeCounts:
    con.execute(f"alter table {staged} rename to {landing_table(stream, name).split('.')[1]}")
    ensure_landing_table(con, stream, name)
    rows, closed = con.execute(
        f"select count(*), count(*) filter (_is_deleted) from {landing_table(stream, name)}"
    ).fetchone()  # type: ignore[misc]
    return MergeCounts(int(rows), int(closed))


def _merge_rows(
    con: duckdb.DuckDBPyConnection,
    stream: StreamSource,
    name: str,
    target: str,
    staged: str,
    arriving: list[str],
    close_absent: bool,
    kept_keys: str | None,
) -> MergeCounts:
    key = stream.objects[name].key
    same = " and ".join(f"s.{quoted(column)} = t.{quoted(column)}" for column in key)
    state = {column.lower() for column in ROW_STATE}
    values = [column for column in arriving if column.lower() not in state]
    declared = [column for column in declared_types(stream, name) if column.lower() not in state]
    # a column that no longer arrives is null in the new version
    absent = [column for column in declared if column.lower() not in {value.lower() for value in values}]
    differs = " or ".join(
        [f"s.{quoted(c)} is distinct from t.{quoted(c)}" for c in values]
        + [f"t.{quoted(c)} is not null" for c in absent]
        + ["s._is_deleted <> t._is_deleted"]
    )
    newer = "(s._modified_at is null or t._modified_at is null or s._modified_at >= t._modified_at)"
    new_values = [*values, "_source", "_file", "_line", "_loaded_at", "_modified_at", "_is_deleted"]
    con.execute(
        f"create or replace temp table _changes as select s.* exclude (_gone), s._gone, "
        f"t._is_deleted as _was_deleted from (select *, false as _gone from {staged}) s left join {target} t on {same} "
        f"where t._source is null or ({newer} and ({differs}))"
    )
    changed, closed = con.execute(
        "select count(*), count(*) filter (_is_deleted and not coalesce(_was_deleted, false)) from _changes"
    ).fetchone()  # type: ignore[misc]
    con.execute(f"delete from {target} t using _changes s where {same}")
    columns = ", ".join(quoted(column) for column in new_values)
    con.execute(f"insert into {target} ({columns}) select {columns} from _changes")
    con.execute("drop table _changes")
    if close_absent:
        closed += _close_absent(con, target, staged, same, kept_keys)
    return MergeCounts(int(changed), int(closed))


def _close_absent(con: duckdb.DuckDBPyConnection, target: str, staged: str, same: str, kept_keys: str | None) -> int:
    kept = f" and not exists (select 1 from {kept_keys} s where {same})" if kept_keys else ""
    condition = f"not t._is_deleted and not exists (select 1 from {staged} s where {same}){kept}"
    closed = con.execute(f"select count(*) from {target} t where {condition}").fetchone()[0]  # type: ignore[index]
    if closed:
        con.execute(f"update {target} t set _is_deleted = true where {condition}")
    return int(closed)
