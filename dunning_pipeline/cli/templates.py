"""`dunning template list|check|preview|publish`: what authors do with the words of messages."""

from pathlib import Path
from typing import Annotated

import typer

from dunning_pipeline.cli.output import Format, FormatOption, WorkspaceOption, open_workspace, show

app = typer.Typer(no_args_is_help=True, help="Templates: list, check, preview, publish")

Names = Annotated[list[str] | None, typer.Argument(help="Names of templates; all when left out.")]


@app.command("list")
def list_templates(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Every template with its channel, language, version and state (new, changed, published)."""
    from dunning_pipeline.errors import DunningError
    from dunning_pipeline.ledger.engine import open_ledger
    from dunning_pipeline.letters.catalogue import Catalogue
    from dunning_pipeline.letters.compiling import compile_template
    from dunning_pipeline.letters.versions import describe, state

    ws = open_workspace(workspace)
    rows = []
    with open_ledger(ws).connect() as connection:
        for source in Catalogue(ws).sources():
            try:
                version = compile_template(source)
                row = {**describe(version), "state": state(connection, version)}
            except DunningError as error:
                row = {"template": source.template, "channel": source.channel, "language": source.language}
                row |= {"version": None, "state": f"broken: {error.where or error.message}"}
            rows.append({**row, "file": str(source.file.relative_to(ws.root))})
    shown = [{**row, "version": (row["version"] or "")[:12]} for row in rows] if form is Format.table else rows
    show(shown, form)


@app.command()
def check(names: Names = None, workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Compile and render every template with its sample; exit code 1 where one must not be sent."""
    from dunning_pipeline.letters.catalogue import Catalogue
    from dunning_pipeline.letters.proof.checks import check_templates

    ws = open_workspace(workspace)
    catalogue = Catalogue(ws)
    _refuse_unknown(names, catalogue.names())
    findings = check_templates(catalogue, names=tuple(names or ()))
    columns = ["severity", "template", "channel", "language", "check", "message"]
    show([finding.row() for finding in findings], form, columns=columns, empty="All templates are good to send.")
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)


@app.command()
def preview(
    name: Annotated[str, typer.Argument(help="Name of the template.")],
    language: Annotated[str | None, typer.Option("--language", help="Default: the company's.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; default below .dunning/previews/.")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """One HTML page: desktop, mobile, dark, text, letter, SMS; personas, fields, difference to what is published."""
    from dunning_pipeline.ledger.engine import open_ledger
    from dunning_pipeline.letters.catalogue import Catalogue
    from dunning_pipeline.letters.proof.preview import preview_page

    ws = open_workspace(workspace)
    chosen = language or ws.company.default_language
    with open_ledger(ws).connect() as connection:
        page = preview_page(Catalogue(ws), name, chosen, company=ws.company, connection=connection)
    file = out or ws.state / "previews" / f"{name}.{chosen}.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")
    typer.echo(f"Open {file}")


@app.command()
def publish(
    names: Names = None,
    by: Annotated[str, typer.Option("--by", help="Who approves it.")] = "cli",
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Make the files as they are now the versions that new sends get; queued sends keep theirs."""
    from dunning_pipeline.ledger import audit
    from dunning_pipeline.ledger.engine import open_ledger
    from dunning_pipeline.letters.catalogue import Catalogue
    from dunning_pipeline.letters.versions import publish_all
    from dunning_pipeline.settings.clock import business_now

    ws = open_workspace(workspace)
    catalogue = Catalogue(ws)
    _refuse_unknown(names, catalogue.names())
    now = business_now()
    with open_ledger(ws).begin() as connection:
        rows = publish_all(connection, catalogue, now=now, by=by, names=names or ())
        for row in rows:
            if row["state"] == "new":
                audit.record(
                    connection,
                    actor=by,
                    action="template.publish",
                    object_kind="template",
                    object_id=f"{row['template']}:{row['channel']}:{row['language']}",
                    after={"version": row["version"]},
                    at=now,
                )
    show([{**row, "version": row["version"][:12]} for row in rows] if form is Format.table else rows, form)


def _refuse_unknown(names: list[str] | None, known: list[str]) -> None:
    from dunning_pipeline.errors import NotThere

    for name in names or ():
        if name not in known:
            raise NotThere(f"there is no template {name!r}", remedy=f"known: {', '.join(known)}")
