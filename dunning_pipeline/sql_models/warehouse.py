"""The only read-write door to the warehouse: one writer at a time, waiting politely for the lock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from dunning_pipeline.errors import Busy
from dunning_pipeline.settings.workspace import Workspace

LOCK_WAIT_SECONDS = 120.0
# a new file, and so its published copies, can be read by the command line tools of analysts that are a version behind
STORAGE_VERSION = "v1.5.0"


@contextmanager
def open_warehouse(
    workspace: Workspace, *, wait_seconds: float = LOCK_WAIT_SECONDS
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-write connection to `.dunning/warehouse.duckdb`, made where missing; closed on leaving.

    Raises Busy when another process keeps the file locked longer than `wait_seconds`.
    """
    workspace.state.mkdir(parents=True, exist_ok=True)
    connection = _connect(workspace, wait_seconds)
    try:
        # business instants are UTC; a session in another zone would shift every cast from text
        connection.execute("set timezone = 'UTC'")
        yield connection
    finally:
        connection.close()


def _connect(workspace: Workspace, wait_seconds: float) -> duckdb.DuckDBPyConnection:
    started = time.monotonic()
    pause = 0.02
    while True:
        try:
            return duckdb.connect(str(workspace.warehouse), config={"storage_compatibility_version": STORAGE_VERSION})
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise
            if time.monotonic() - started > wait_seconds:
                raise Busy(
                    f"the warehouse is in use by another process: {error}",
                    remedy="wait for the running build, or end the process named above; people read .dunning/serving/",
                ) from None
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
