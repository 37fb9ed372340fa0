"""The `ingest` operation: every active source, object by object, into the landing tables and the ledger's load log."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import duckdb

from dunning_pipeline.data_streams.consent_files import import_consent_files
from dunning_pipeline.data_streams.declaration import Format, StreamSource, load_streams
from dunning_pipeline.data_streams.files.inbox import files_of
from dunning_pipeline.data_streams.load_log import record_loads
from dunning_pipeline.data_streams.load_report import LoadReport, Progress
from dunning_pipeline.data_streams.mapped import refresh_mapped_views
from dunning_pipeline.data_streams.object_loading import ObjectLoad
from dunning_pipeline.data_streams.remote.fetched_pages import pages_in
from dunning_pipeline.data_streams.remote.salesforce_bulk import SalesforceBulk
from dunning_pipeline.data_streams.remote.sql_source import fetch_query
from dunning_pipeline.errors import DunningError, NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.warehouse import open_warehouse


def ingest(
    ws: Workspace,
    *,
    now: datetime,
    sources: Iterable[str] | None = None,
    objects: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> list[LoadReport]:
    """Load what is new of all sources, or of the named ones; one report per object that has files.

    A bad row becomes a reject; an object that cannot be loaded fails alone with `error` in its report, and its
    previous rows stay. Consent files are handed to delivery. Every load is written to the ledger's stream_loads.
    Raises InvalidDeclaration for a stream file that is wrong, NotThere for an unknown source or object.
    """
    streams = _chosen(load_streams(ws), sources)
    wanted = {name.lower() for name in objects} if objects else None
    _check_names(streams, wanted)
    work = [(stream, name) for stream in streams for name in stream.objects if not wanted or name.lower() in wanted]
    reports: list[LoadReport] = []
    with open_warehouse(ws) as con:
        con.execute("create schema if not exists landing; create schema if not exists mapped;")
        crm = SalesforceBulk()
        for done, (stream, name) in enumerate(work):
            if progress:
                progress(f"{stream.source} {name}", done, len(work))
            loaded = list(_load(con, ws, stream, name, now, crm))
            # at once, and before a build can have the warehouse: from here on delivery waits for that build
            record_loads(ws, loaded, now)
            reports.extend(loaded)
        refresh_mapped_views(con, ws)
    if progress:
        progress("done", len(work), len(work))
    for stream in streams:
        if stream.kind == "consent" and wanted is None:
            reports.extend(import_consent_files(ws, stream, now))
    return reports


def _load(
    con: duckdb.DuckDBPyConnection, ws: Workspace, stream: StreamSource, name: str, now: datetime, crm: SalesforceBulk
) -> Iterator[LoadReport]:
    if stream.kind == "file":
        files = files_of(source_folder(ws, stream), stream, name)
        if files:
            yield ObjectLoad(con, ws, stream, name, now).run(files)
        return
    try:
        folder = (crm.fetch if stream.kind == "salesforce_bulk" else fetch_query)(con, ws, stream, name, now)
    except DunningError as error:
        yield LoadReport(stream.source, name, status="failed", error=str(error))
        return
    pages = pages_in(folder)
    if not pages:
        yield LoadReport(stream.source, name, status="unchanged")
        return
    yield ObjectLoad(con, ws, _as_fetched(stream, name), name, now).run(pages)


def _as_fetched(stream: StreamSource, name: str) -> StreamSource:
    """Pages are plain UTF-8 CSV or Parquet; those of an API hold changes only, so that nothing is closed by absence."""
    declared = stream.objects[name]
    if stream.kind == "salesforce_bulk":
        declared = declared.model_copy(update={"incremental": True})
    objects = {**stream.objects, name: declared.model_copy(update={"format": {}})}
    return stream.model_copy(update={"objects": objects, "format": Format(encoding="utf-8")})


def source_folder(ws: Workspace, stream: StreamSource) -> Path:
    """inbox/<source>, whatever the case of the folder's name."""
    if ws.inbox.is_dir():
        for folder in sorted(ws.inbox.iterdir()):
            if folder.is_dir() and folder.name.lower() == stream.source:
                return folder
    return ws.inbox / stream.source


def _chosen(streams: dict[str, StreamSource], sources: Iterable[str] | None) -> list[StreamSource]:
    if not sources:
        return list(streams.values())
    unknown = [name for name in sources if name not in streams]
    if unknown:
        raise NotThere(f"no source {unknown[0]!r}", remedy=f"declared are {', '.join(streams)}")
    return [streams[name] for name in sources]


def _check_names(streams: list[StreamSource], wanted: set[str] | None) -> None:
    known = {name.lower() for stream in streams for name in stream.objects}
    for name in wanted or ():
        if name not in known:
            raise NotThere(f"no object {name!r} in {', '.join(stream.source for stream in streams)}")
