"""The contact points that some account or contact has, as last read: consent of anybody else is refused."""

from typing import Any

import duckdb

from dunning_pipeline.delivery.permission.contact_points import normal
from dunning_pipeline.errors import InvalidInput, NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.snapshot import open_snapshot
from dunning_pipeline.sql_models.warehouse import open_warehouse

_FIELDS = {
    "email": (("contacts", "email"), ("accounts", "email")),
    "sms": (("contacts", "phone"), ("contacts", "mobile_phone"), ("accounts", "phone")),
}


def known_points(ws: Workspace, channel: str) -> set[str]:
    """Normal forms of every address or number in the warehouse and in the newest snapshot."""
    found: set[tuple[str, str | None]] = set()
    if ws.warehouse.exists():
        from dunning_pipeline.data_streams.mapped import refresh_mapped_views

        with open_warehouse(ws) as con:
            refresh_mapped_views(con, ws)
            found |= _points(con, "mapped", channel)
    try:
        snapshot = open_snapshot(ws)
    except NotThere:
        pass
    else:
        try:
            found |= _points(snapshot, "data_model", channel)
        finally:
            snapshot.close()
    return _normal(found, channel, ws.company.country)


def _points(con: duckdb.DuckDBPyConnection, schema: str, channel: str) -> set[tuple[str, str | None]]:
    rows: list[Any] = []
    for table, column in _FIELDS[channel]:
        try:
            rows += con.execute(
                f"select distinct trim({column}), country from {schema}.{table} where {column} <> ''"
            ).fetchall()
        except duckdb.CatalogException:
            continue
    return set(rows)


def _normal(found: set[tuple[str, str | None]], channel: str, default_country: str) -> set[str]:
    points = set()
    for text, country in found:
        try:
            points.add(normal(text, channel, country if country and len(country) == 2 else default_country))
        except InvalidInput:
            continue
    return points
