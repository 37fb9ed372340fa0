"""Data streams as assets: one per object of each source, read by one step, with the rejected rows as a check."""

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg

from assets.forms import IngestConfig
from assets.place import DAILY, WRITER, stream_key, workspace
from assets.tables import as_markdown
from dunning_pipeline.data_streams import LoadReport, ingest
from dunning_pipeline.data_streams.declaration import StreamSource, load_streams
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.settings.workspace import Workspace

CHECK = "every_row_was_read"
SHOWN_REJECTS = 20
DEFAULT_SOURCE = "salesforce"


def stream_assets(ws: Workspace) -> dg.AssetsDefinition:
    """All declared objects; choosing some of them in the UI reads only those."""
    streams = shown_streams(ws)
    specs = [_spec(stream, name) for stream in streams.values() for name in stream.objects]
    checks = [
        dg.AssetCheckSpec(CHECK, asset=spec.key, description="Passes when no row was rejected.") for spec in specs
    ]

    @dg.multi_asset(name="read_streams", specs=specs, check_specs=checks, can_subset=True, pool=WRITER)
    def read_streams(context: dg.AssetExecutionContext, config: IngestConfig) -> Iterator[Any]:
        chosen = {tuple(key.path[1:]) for key in context.selected_asset_keys}
        everything = len(chosen) == len(specs)
        sources = config.sources or (None if everything else sorted({source for source, _ in chosen}))
        objects = None if everything else sorted({name for _, name in chosen})
        reports = ingest(
            workspace(),
            now=business_now(),
            sources=sources,
            objects=objects,
            progress=lambda *said: _log(context, *said),
        )
        failed = []
        for report in reports:
            if (report.source, report.object) in chosen:
                yield from _results(report)
            if report.error:
                failed.append(f"{report.source} {report.object}: {report.error}")
        if failed:
            context.log.warning("not read, what was there stays: %s", "; ".join(failed))

    return read_streams


def shown_streams(ws: Workspace) -> dict[str, StreamSource]:
    """The sources that this workspace uses: APIs, the default one, and those whose folder is in the inbox.

    Ready-made mappings of sources that nobody delivers would only hide the flow.
    """
    streams = load_streams(ws)
    return {
        name: stream
        for name, stream in streams.items()
        if stream.objects
        and (stream.kind != "file" or name == DEFAULT_SOURCE or (ws.inbox / stream.inbox_name).is_dir())
    }


def _spec(stream: StreamSource, name: str) -> dg.AssetSpec:
    declared = stream.objects.get(name)
    maps_to = sorted({mapping.dmo for mapping in stream.mappings if mapping.object == name})
    said = f"**{name}** as {stream.source} sends it: typed, with rejected rows kept aside."
    if maps_to:
        said += f"\n\nBecomes {', '.join(maps_to)} in the data model."
    columns = [dg.TableColumn(c, column.type) for c, column in (declared.columns if declared else {}).items()]
    return dg.AssetSpec(
        stream_key(stream.source, name),
        description=f"{said}\n\nDeclared in `policies/streams/{stream.source}.yaml`.",
        group_name="data_streams",
        kinds={"csv" if stream.kind in ("file", "consent") else stream.kind.replace("_bulk", ""), "duckdb"},
        owners=["team:data-platform"],
        tags={"source": stream.source},
        metadata={"dagster/column_schema": dg.TableSchema(columns)} if columns else {},
        freshness_policy=DAILY if name.lower().startswith("payment") else None,
        skippable=True,  # an object that has no file in the inbox is no failure
    )


def _results(report: LoadReport) -> Iterator[Any]:
    key = stream_key(report.source, report.object)
    if report.error is None:
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                "dagster/row_count": report.rows_loaded,
                "read": report.rows_read,
                "rejected": report.rows_rejected,
                "closed": report.rows_closed,
                "status": report.status,
                "files": report.files,
                "columns not declared": report.unknown_columns,
            },
        )
    yield dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=key,
        passed=report.error is None and report.rows_rejected == 0 and report.doubt is None,
        severity=dg.AssetCheckSeverity.ERROR if report.error else dg.AssetCheckSeverity.WARN,
        description=report.error or report.doubt or f"{report.rows_rejected} of {report.rows_read} rows were rejected",
        metadata=_rejects(report),
    )


def _rejects(report: LoadReport) -> dict[str, Any]:
    if report.error:
        return {"not read": report.error}
    if not report.reject_file or not Path(report.reject_file).is_file():
        return {}
    with Path(report.reject_file).open(encoding="utf-8", newline="") as file:
        rows = list(islice(csv.DictReader(file), SHOWN_REJECTS))
    return {
        "rejected": report.rows_rejected,
        "all of them": dg.MetadataValue.path(report.reject_file),
        "first rows": dg.MetadataValue.md(as_markdown(rows, masked=True)),
    }


def _log(context: dg.AssetExecutionContext, what: str, done: int, total: int) -> None:
    context.log.debug("%s (%s of %s)", what, done, total)
