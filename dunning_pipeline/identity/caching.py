"""Runs the normalisers on values not seen before, on all cores, and keeps the answers between runs in `identity_cache`."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import duckdb
import pyarrow as pa

from dunning_pipeline.identity.steps.records import raw_values
from dunning_pipeline.identity.values.registry import NORMALISERS, Normaliser, apply_by_name, normalisers_version

SERIAL_BELOW = 40_000  # new values; starting worker processes takes about as long as normalising this many

Progress = Callable[[str], None]


def refresh_value_cache(con: duckdb.DuckDBPyConnection, kind: str, *, processes: int | None = None) -> dict[str, int]:
    """Add the normal forms of all new distinct values of `identity.<kind>_records`; the count of new ones per normaliser.

    The cache is emptied when tables, code or libraries of the normalisers changed.
    """
    _open_cache(con)
    added: dict[str, int] = {}
    for name, selects in raw_values(kind).items():
        union = " union ".join(
            f"select distinct {key} as raw_key from {source} where {key} is not null" for key, source in selects
        )
        con.execute(
            f"create or replace temp table new_values as select raw_key from ({union}) "
            f"where raw_key not in (select raw_key from identity_cache.{name})"
        )
        keys = con.sql("select raw_key from new_values order by raw_key").to_arrow_table()["raw_key"].to_pylist()
        added[name] = len(keys)
        for part in _normalised(NORMALISERS[name], keys, processes or os.cpu_count() or 1):
            rows = _arrow(NORMALISERS[name], part)
            con.register("new_rows", rows)
            con.execute(f"insert into identity_cache.{name} select * from new_rows")
            con.unregister("new_rows")
    con.execute("drop table if exists new_values")
    return added


def _open_cache(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create schema if not exists identity_cache")
    con.execute("create table if not exists identity_cache.version (version varchar)")
    known = con.execute("select version from identity_cache.version").fetchall()
    stale = known != [(normalisers_version(),)]
    for normaliser in NORMALISERS.values():
        columns = ", ".join(f"{name} varchar" for name in ("raw_key", *normaliser.outputs))
        verb = "create or replace table" if stale else "create table if not exists"
        con.execute(f"{verb} identity_cache.{normaliser.name} ({columns})")
    if stale:
        con.execute("delete from identity_cache.version")
        con.execute("insert into identity_cache.version values (?)", [normalisers_version()])


def _normalised(normaliser: Normaliser, keys: list[str], processes: int) -> Iterator[list[tuple[str | None, ...]]]:
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


def _arrow(normaliser: Normaliser, rows: list[tuple[str | None, ...]]) -> pa.Table:
    names = ("raw_key", *normaliser.outputs)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})
