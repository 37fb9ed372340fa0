"""Files in which rows from an API or a database land before they are loaded: one folder per object and fetch."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from dunning_pipeline.data_streams.declaration import StreamSource
from dunning_pipeline.data_streams.files.inbox import InboxFile
from dunning_pipeline.data_streams.landing_tables import existing_types, landing_table
from dunning_pipeline.settings.workspace import Workspace

KEPT_FETCHES = 3
# rows committed late carry an earlier time of change than rows already read
WATERMARK_OVERLAP = timedelta(minutes=5)


def new_fetch(ws: Workspace, stream: StreamSource, name: str, now: datetime) -> Path:
    """An empty folder for this fetch; older ones beyond the last few are removed."""
    parent = ws.landing / stream.source / name
    folder = parent / now.strftime("%Y%m%dT%H%M%S%f")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for old in sorted(parent.iterdir())[:-KEPT_FETCHES]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def pages_in(folder: Path) -> list[InboxFile]:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    return [InboxFile(file, "", file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def watermark(con: duckdb.DuckDBPyConnection, stream: StreamSource, name: str) -> datetime | None:
    """The newest time of change that is loaded, less the overlap; None before the first load. Naive UTC."""
    if not existing_types(con, stream, name):
        return None
    found = con.execute(f"select max(_modified_at) from {landing_table(stream, name)}").fetchone()
    return found[0] - WATERMARK_OVERLAP if found and found[0] else None
