"""Reads the published snapshot for pages: by key from its indexed lookups, over all rows from the snapshot itself."""

import sqlite3
import subprocess
import threading
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from dunning_pipeline.console import lookups
from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.snapshot import snapshot_file

Parameters = Sequence[Any] | Mapping[str, Any]

sqlite3.register_converter("decimal_text", lambda text: Decimal(text.decode()))
sqlite3.register_converter("day_text", lambda text: date.fromisoformat(text.decode()))
sqlite3.register_converter("flag", lambda digit: digit == b"1")

_lock = threading.Lock()
_open: dict[Path, tuple[Path, duckdb.DuckDBPyConnection]] = {}  # serving folder → newest file and its connection
_making: dict[Path, subprocess.Popen[bytes]] = {}  # lookups → the process that makes them
_mine = threading.local()  # the lookups' connection of this thread


def rows(workspace: Workspace, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
    """Rows of a query over the snapshot as dicts; empty where nothing is published or a model is not there yet."""
    try:
        result = cursor(workspace).execute(sql, parameters)
    except NotThere:
        return []
    except duckdb.CatalogException:
        return []
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def cursor(workspace: Workspace) -> duckdb.DuckDBPyConnection:
    """A connection to the snapshot, for what other rooms read of it. Raises NotThere before the first build."""
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


def found(workspace: Workspace, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
    """Rows of a query over the tables of console.lookups as dicts; empty where nothing is published."""
    try:
        result = _lookups(workspace).execute(sql, parameters)
    except NotThere:
        return []
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def first(workspace: Workspace, sql: str, parameters: Parameters = ()) -> dict[str, Any] | None:
    """The first row that `found` finds."""
    return next(iter(found(workspace, sql, parameters)), None)


def lookups_file(workspace: Workspace) -> Path:
    """The newest lookups. Made here where there are none of this format yet; else beside the server, and the older
    ones serve meanwhile. Raises NotThere before the first build."""
    snapshot = snapshot_file(workspace)
    target = lookups.file_for(workspace, snapshot)
    if target.exists():
        return target
    with _lock:
        # after an upgrade those of another format lack what the pages ask for
        older = max(
            target.parent.glob(f"*-{lookups.FORMAT}.sqlite"), key=lambda file: file.stat().st_mtime_ns, default=None
        )
        if older is None:
            return lookups.make(workspace, snapshot)
        if target not in _making:  # once: should it fail, its reason is in the server's log and the older ones serve on
            _making.clear()
            _making[target] = lookups.make_beside(workspace)
        return older


def _lookups(workspace: Workspace) -> sqlite3.Connection:
    for _ in range(3):
        file = lookups_file(workspace)
        if getattr(_mine, "file", None) == file:
            break
        try:
            fresh = sqlite3.connect(
                f"{file.as_uri()}?mode=ro&immutable=1",
                uri=True,
                detect_types=sqlite3.PARSE_DECLTYPES,
                isolation_level=None,
            )
            fresh.execute("select 1 from accounts limit 1")
        except sqlite3.OperationalError:  # dropped between looking and opening: look again
            continue
        _mine.file, _mine.connection = file, fresh
    connection: sqlite3.Connection = _mine.connection
    return connection
