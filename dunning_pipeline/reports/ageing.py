"""Ageing of receivables as of any date: open principal by how late it is, from the facts known by that date."""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import duckdb

from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger.export import export_to_warehouse
from dunning_pipeline.money import amount_text, to_minor
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.runner import render_models
from dunning_pipeline.sql_models.shapes import quoted
from dunning_pipeline.sql_models.snapshot import snapshot_file

DEFAULT_BUCKETS = (15, 30, 60)
_SERVED = ("data_model", "unified", "identity", "policy")
_OPS = ("postponements", "blocks", "promises", "item_levels")


def parse_buckets(text: str) -> tuple[int, ...]:
    """`15,30,60` as upper bounds in days; raises InvalidInput unless they rise from 1."""
    try:
        bounds = tuple(int(part) for part in text.split(","))
    except ValueError:
        bounds = ()
    if not bounds or bounds[0] < 1 or any(late <= early for early, late in pairwise(bounds)):
        raise InvalidInput("buckets are rising numbers of days", value=text, remedy="write them as 15,30,60")
    return bounds


def ageing(ws: Workspace, *, as_of: date, buckets: Sequence[int] = DEFAULT_BUCKETS) -> list[dict[str, Any]]:
    """One row per currency and bucket: currency, from_days, to_days, items, amount (decimal string, principal only).

    What is not yet due has both days null, the last bucket no to_days. Computed by the same models as the dunning
    run, in a scratch database on the published snapshot. Raises NotThere before the first build.
    """
    con = duckdb.connect(":memory:")
    try:
        _open_items(con, ws, as_of)
        found = con.execute(
            "select currency, days_overdue, count(*), sum(open_amount) from dunning.open_items group by all"
        ).fetchall()
    finally:
        con.close()
    return _summed(found, tuple(buckets))


def _open_items(con: duckdb.DuckDBPyConnection, ws: Workspace, as_of: date) -> None:
    file = str(snapshot_file(ws)).replace("'", "''")
    con.execute("set timezone = 'UTC'")
    con.execute(f"attach '{file}' as snapshot (read_only)")
    export_to_warehouse(con, ws, tables=_OPS)
    con.execute("create schema if not exists dunning")
    catalogs = dict.fromkeys(_SERVED, "snapshot")
    for model in render_models(ws, run_date=as_of, select="+open_items", catalogs=catalogs):
        if model.schema == "dunning":
            con.execute(f"create table dunning.{quoted(model.name)} as {model.sql}")


def _summed(days: Sequence[tuple[str, int, int, Any]], bounds: tuple[int, ...]) -> list[dict[str, Any]]:
    starts = (1, *(bound + 1 for bound in bounds))
    ranges = [(None, None), *zip(starts, (*bounds, None), strict=True)]
    sums = {(currency, start): [0, 0] for currency in sorted({row[0] for row in days}) for start, _ in ranges}
    for currency, overdue, items, amount in days:
        start = None if overdue <= 0 else max(low for low in starts if low <= overdue)
        cell = sums[(currency, start)]
        cell[0] += items
        cell[1] += to_minor(amount, currency)
    ends = dict(ranges)
    return [
        {
            "currency": currency,
            "from_days": start,
            "to_days": ends[start],
            "items": count,
            "amount": amount_text(minor, currency),
        }
        for (currency, start), (count, minor) in sums.items()
    ]
