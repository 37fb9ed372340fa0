"""Gives every record its normal forms, normalising on all cores what `identity_cache` has not seen in an earlier run."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import duckdb
import pyarrow as pa

from dunning_pipeline.identity.engine import DuckDBEngine
from dunning_pipeline.identity.steps.records import KINDS, facts, forms, lookups, names
from dunning_pipeline.identity.steps.step import WORK
from dunning_pipeline.identity.values.registry import NORMALISERS, Normaliser, apply_by_name, normalisers_version

# new ones are joined with all their normal forms: more at once need more memory than warehouses may have
RECORDS_AT_ONCE = 1_000_000
SERIAL_BELOW = 40_000  # new values; starting worker processes takes about as long as normalising this many


def normalise_records(engine: DuckDBEngine, kind: str, *, processes: int | None = None) -> int:
    """Make `<kind>_facts`; the number of values that the cache had not known.

    Records are joined with the cache first: on most days nearly all are known, and only the few others are done again.
    The cache is emptied when tables, code or libraries of the normalisers changed.
    """
    con, wanted = engine.con, facts(kind)
    _open_cache(con, kind)
    engine.run(wanted)
    missed = f"select record_id from {wanted.table} where missed"
    if not engine.rows(f"{missed} limit 1"):
        return 0
    _forget(con, kind)
    late = f"(select * from {WORK}.{kind}_records where record_id in ({missed}))"
    added = sum(_add_new(con, name, keys, processes or os.cpu_count() or 1) for name, keys in _raw_keys(kind, late))
    if kind == "individual":
        known = "select name_id from identity_cache.names"
        con.execute(f"insert into identity_cache.names from ({names()}) where name_id not in ({known})")
    first = f"select min(r.record_id) from {late} as r group by r.content"
    parts = engine.rows(f"select count(*) from ({missed})")[0][0] // RECORDS_AT_ONCE + 1
    for part in range(parts):
        new = f"(select * from {WORK}.{kind}_records where record_id % {parts} = {part} and record_id in ({first}))"
        con.execute(f"insert into identity_cache.{kind}_forms by name {forms(kind, records=new)}")
    con.execute(f"create or replace temp table late_facts as {facts(kind, records=late).sql}")
    con.execute(f"delete from {wanted.table} where missed")
    con.execute(f"insert into {wanted.table} by name select * from late_facts")
    con.execute("drop table late_facts")
    return added


def _forget(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    """Leave out the contents that no record has any more, once they are as many as those in use."""
    table, records = f"identity_cache.{kind}_forms", f"{WORK}.{kind}_records"
    (kept,), (used,) = con.execute(f"select count(*) from {table} union all select count(*) from {records}").fetchall()
    if kept > 2 * used:
        con.execute(f"delete from {table} where content not in (select content from {records})")


def _raw_keys(kind: str, records: str) -> list[tuple[str, str]]:
    """(normaliser, query of raw keys that it may not know) of these records."""
    normalisers = dict.fromkeys(known.normaliser for known in lookups(kind))
    return [
        (name, " union ".join(
            f"select {known.raw_key} as raw_key from {records} as r where {known.present}"
            for known in lookups(kind) if known.normaliser == name
        ))
        for name in normalisers
    ]  # fmt: skip


def _add_new(con: duckdb.DuckDBPyConnection, name: str, raw_keys: str, processes: int) -> int:
    normaliser = NORMALISERS[name]
    new = f"select distinct raw_key from ({raw_keys}) where raw_key not in (select raw_key from identity_cache.{name}) order by 1"
    keys = con.sql(new).to_arrow_table()["raw_key"].to_pylist()
    for part in _normalised(normaliser, keys, processes):
        con.register("new_rows", _arrow(normaliser, part))
        con.execute(f"insert into identity_cache.{name} select * from new_rows")
        con.unregister("new_rows")
    return len(keys)


def _open_cache(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    con.execute("create schema if not exists identity_cache")
    con.execute("create table if not exists identity_cache.version (version varchar)")
    known = con.execute("select version from identity_cache.version").fetchall()
    stale = known != [(normalisers_version(),)]
    verb = "create or replace table" if stale else "create table if not exists"
    for normaliser in NORMALISERS.values():
        columns = ", ".join(f"{name} {type_}" for name, type_ in normaliser.columns.items())
        con.execute(f"{verb} identity_cache.{normaliser.name} ({columns})")
    if kind == "individual":
        con.execute(f"{verb} identity_cache.names as {names()}")
    if stale:
        for other in KINDS:
            con.execute(f"drop table if exists identity_cache.{other}_forms")
        con.execute("delete from identity_cache.version")
        con.execute("insert into identity_cache.version values (?)", [normalisers_version()])
    columns = forms(kind, records=f"{WORK}.{kind}_records")
    con.execute(f"create table if not exists identity_cache.{kind}_forms as {columns} limit 0")


def _normalised(normaliser: Normaliser, keys: list[str], processes: int) -> Iterator[list[tuple[Any, ...]]]:
    chunks = [keys[start : start + normaliser.chunk] for start in range(0, len(keys), normaliser.chunk)]
    if len(keys) < SERIAL_BELOW or processes < 2:
        yield from (normaliser.apply(chunk) for chunk in chunks)
        return
    done = 0
    try:
        # spawn: a fork would copy DuckDB's threads in the middle of their work
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            for rows in pool.map(apply_by_name, [normaliser.name] * len(chunks), chunks):
                yield rows
                done += 1
    except BrokenProcessPool:  # a script without `if __name__ == "__main__"`, or no memory for workers: go on alone
        yield from (normaliser.apply(chunk) for chunk in chunks[done:])


def _arrow(normaliser: Normaliser, rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(normaliser.columns)
    types = {"varchar": pa.string(), "bigint": pa.int64()}
    return pa.table({
        name: pa.array(column, types[kind]) for (name, kind), column in zip(normaliser.columns.items(), columns, strict=True)
    })  # fmt: skip
