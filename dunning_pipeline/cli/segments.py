"""`dunning segment`: list, preview, compare and publish segments on the published snapshot."""

from pathlib import Path
from typing import Annotated, Any

import typer

from dunning_pipeline.cli.output import Format, FormatOption, WorkspaceOption, open_workspace, show
from dunning_pipeline.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, help="List, preview, compare and publish segments.")

ParamOption = Annotated[
    list[str] | None, typer.Option("--param", help="A parameter of a custom segment, name=value; may be repeated.")
]
NameArgument = Annotated[str, typer.Argument(help="Name of the segment: its file without .sql.")]


@app.command("list")
def list_segments(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Every segment: kind, owner, what it is, and its last publication."""
    from dunning_pipeline.sql_models.segmenting.publications import is_edited, last_publication
    from dunning_pipeline.sql_models.segmenting.segments import load_segments

    ws = open_workspace(workspace)
    rows = []
    for segment in load_segments(ws):
        last = last_publication(ws, segment.name)
        rows.append(
            {
                "segment": segment.name,
                "kind": segment.kind,
                "owner": segment.owner,
                "description": segment.description,
                "parameters": [f"{p.name}: {p.type} = {p.default}" for p in segment.parameters],
                "members": last.count if last else None,
                "published_at": last.published_at if last else None,
                "is_edited_since": is_edited(segment, last),
                "mistake": str(segment.model.error) if segment.model.error else None,
            }
        )
    show(rows, form, columns=["segment", "kind", "owner", "members", "published_at", "description"])


@app.command("preview")
def preview_segment(
    name: NameArgument,
    param: ParamOption = None,
    date: Annotated[
        str | None, typer.Option("--date", help="Business date, YYYY-MM-DD; default: the snapshot's.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Another version of the segment's file.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="At most so many rows.", min=1)] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """The rows that the segment's file yields now, on the published snapshot; nothing is written."""
    from dunning_pipeline.cli.output import parse_date
    from dunning_pipeline.sql_models.folder.project import MEMBER, sql_text
    from dunning_pipeline.sql_models.segmenting.segments import preview

    ws = open_workspace(workspace)
    run_date = parse_date(date, ws) if date else None
    text = sql_text(file) if file else None
    rows = preview(ws, name, parameters=_parameters(param), run_date=run_date, text=text, limit=limit)
    show(rows.rows(), form, empty="Nobody is in this segment.")
    if form is Format.table:
        typer.echo(f"\n{len(rows)} rows", err=True)
    members = {row[MEMBER] for row in rows.rows()} - {None}
    if len(members) < len(rows):
        typer.echo("! not one row per account: a build or publish refuses this", err=True)


@app.command("diff")
def diff_segment(
    name: NameArgument,
    edited: Annotated[
        bool | None,
        typer.Option(
            "--edited/--published",
            help="The file as it is now, or the publications only; default: the file where it was edited.",
        ),
    ] = None,
    back: Annotated[
        int, typer.Option("--back", help="Compare with the publication so many before the last.", min=1)
    ] = 1,
    param: ParamOption = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Who would come and go by the edited file; where it was not edited, who did between two publications."""
    from dunning_pipeline.sql_models.segmenting.publications import diff, is_edited, last_publication
    from dunning_pipeline.sql_models.segmenting.segments import find_segment

    ws = open_workspace(workspace)
    if edited is None:
        last = last_publication(ws, name)
        edited = bool(param) or last is None or is_edited(find_segment(ws, name), last)
    rows = diff(ws, name, back=back, edited=edited, parameters=_parameters(param))
    show(rows.rows(), form, empty="Nobody came, nobody went.")
    if form is Format.table:
        compared = "the file as it is now with the last publication" if edited else "the publications"
        typer.echo(f"\ncompared: {compared}", err=True)


@app.command("publish")
def publish_segment(
    name: NameArgument,
    param: ParamOption = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Publish the members that the segment's file yields now: Parquet and JSON below .dunning/segments/."""
    from dunning_pipeline.settings.clock import business_now
    from dunning_pipeline.sql_models.segmenting import publications

    ws = open_workspace(workspace)
    done = publications.publish_segment(ws, name, now=business_now(), parameters=_parameters(param))
    show([_publication(done)], form)


@app.command("history")
def segment_history(name: NameArgument, workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """The kept publications of a segment, the newest first."""
    from dunning_pipeline.sql_models.segmenting.publications import history
    from dunning_pipeline.sql_models.segmenting.segments import find_segment

    ws = open_workspace(workspace)
    find_segment(ws, name)
    show([_publication(entry) for entry in history(ws, name)], form, empty="Not published yet.")


def _publication(entry: Any) -> dict[str, Any]:
    return {
        "segment": entry.segment,
        "published_at": entry.published_at,
        "run_date": entry.run_date,
        "members": entry.count,
        "sql_sha256": entry.sql_sha256,
        "parameters": dict(entry.parameters),
        "file": str(entry.members),
    }


def _parameters(param: list[str] | None) -> dict[str, str]:
    values = {}
    for text in param or []:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InvalidInput("a parameter is written name=value", value=text)
        values[name.strip()] = value
    return values
