"""`dunning ingest`: reads the data streams and says per object what was read, loaded, rejected and closed."""

from typing import Annotated

import typer

from dunning_pipeline.cli.output import Format, FormatOption, WorkspaceOption, open_workspace, show
from dunning_pipeline.cli.progress import progress_bar
from dunning_pipeline.data_streams.load_report import LoadReport

_COLUMNS = ("source", "object", "status", "rows_read", "rows_loaded", "rows_rejected", "rows_closed", "reject_file")


def ingest(
    workspace: WorkspaceOption = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Only this source; may be repeated.")] = None,
    object_: Annotated[list[str] | None, typer.Option("--object", help="Only this object; may be repeated.")] = None,
    form: FormatOption = Format.table,
) -> None:
    """Read the data streams into the warehouse: what is new of every source, or of the named ones.

    Bad rows go to .dunning/rejects/; an object that cannot be loaded keeps its previous rows and makes the exit code 1.
    """
    from dunning_pipeline.data_streams import ingest as ingest_streams
    from dunning_pipeline.settings.clock import business_now

    ws = open_workspace(workspace)
    with progress_bar() as progress:
        reports = ingest_streams(ws, now=business_now(), sources=source, objects=object_, progress=progress)
    show(
        [report.as_row() for report in reports],
        form,
        columns=_COLUMNS,
        empty=f"No files of a declared source below {ws.inbox}.",
    )
    for report in reports:
        _explain(report)
    if any(report.status == "failed" for report in reports):
        raise typer.Exit(1)


def _explain(report: LoadReport) -> None:
    name = f"{report.source} {report.object}"
    if report.unknown_columns:
        typer.echo(f"{name}: unknown columns kept: {', '.join(report.unknown_columns)}", err=True)
    for note in report.notes:
        typer.echo(f"{name}: {note}", err=True)
    if report.doubt:
        typer.echo(f"{name}: {report.doubt}", err=True)
    if report.error:
        typer.echo(f"{name}: not loaded, the previous rows stay: {report.error}", err=True)
