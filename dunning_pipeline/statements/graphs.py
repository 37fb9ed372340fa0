"""Looks up the published data graph of billing accounts, for the words of their statements."""

from collections.abc import Iterable
from typing import Any

import duckdb
import orjson
import pyarrow

from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.snapshot import open_snapshot

Key = tuple[str, str]


class Graphs:
    """Documents of `data_graph.account_graphs` by account and bill group; empty before anything is published."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._con: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> "Graphs":
        try:
            con = open_snapshot(self._ws)
        except NotThere:
            return self
        known = con.execute(
            "select 1 from duckdb_tables() where schema_name = 'data_graph' and table_name = 'account_graphs'"
        ).fetchall()
        if known:
            self._con = con
        else:
            con.close()
        return self

    def __exit__(self, *_: object) -> None:
        if self._con is not None:
            self._con.close()

    def of(self, keys: Iterable[Key]) -> dict[Key, dict[str, Any]]:
        """(account key, bill group key) → document; what is not published is left out."""
        wanted = sorted(set(keys))
        if self._con is None or not wanted:
            return {}
        self._con.register(
            "wanted", pyarrow.table({"account_key": [a for a, _ in wanted], "bill_group_key": [b for _, b in wanted]})
        )
        rows = self._con.execute(
            """
            select graphs.account_key, graphs.bill_group_key, cast(graphs.document as varchar)
            from data_graph.account_graphs as graphs
            inner join wanted
                on wanted.account_key = graphs.account_key and wanted.bill_group_key = graphs.bill_group_key
            """
        ).fetchall()
        self._con.unregister("wanted")
        return {(account, group): orjson.loads(text) for account, group, text in rows}
