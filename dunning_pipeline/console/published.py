"""Reads of the published snapshot for pages: one open connection per snapshot, a cursor per query."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.snapshot import snapshot_file

Parameters = Sequence[Any] | Mapping[str, Any]

_lock = threading.Lock()
_open: dict[Path, tuple[Path, duckdb.DuckDBPyConnection]] = {}  # serving folder → newest file and its connection


def _cursor(workspace: Workspace) -> duckdb.DuckDBPyConnection:
    file = snapshot_file(workspace)
    with _lock:
        known = _open.get(workspace.serving)
        if known is None or known[0] != file:
            connection = duckdb.connect(str(file), read_only=True)
            connection.execute("set timezone = 'UTC'")
            _open[workspace.serving] = (file, connection)
            # the old connection is closed when the last cursor of a request lets go of it
            known = _open[workspace.serving]
        return known[1].cursor()


def rows(workspace: Workspace, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
    """Rows of a query over the snapshot as dicts; empty where nothing is published or a model is not there yet."""
    try:
        cursor = _cursor(workspace)
        result = cursor.execute(sql, parameters)
    except NotThere:
        return []
    except duckdb.CatalogException:
        return []
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def first(workspace: Workspace, sql: str, parameters: Parameters = ()) -> dict[str, Any] | None:
    found = rows(workspace, sql, parameters)
    return found[0] if found else None
