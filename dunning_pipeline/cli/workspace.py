"""`dunning init` makes a workspace to start from, `dunning doctor` tells what is configured, missing and stale."""

from pathlib import Path
from typing import Annotated

import typer

from dunning_pipeline.cli.output import Format, FormatOption, WorkspaceOption, open_workspace, print_json, show

WHAT_PEOPLE_WRITE = ("policies", "templates", "dbt_like_sql")


def init(directory: Annotated[Path, typer.Argument(help="The folder to make; new or empty.")]) -> None:
    """Make a workspace: the shipped policies, templates and SQL models, an empty inbox. Nothing is overwritten."""
    import shutil

    from dunning_pipeline.errors import Refused
    from dunning_pipeline.settings.workspace import shipped_folder
    from dunning_pipeline.sql_models.folder.shipped import note_shipped

    shipped = shipped_folder()
    there = [name for name in WHAT_PEOPLE_WRITE if (directory / name).exists()]
    if there:
        raise Refused(
            f"{directory} has {', '.join(there)} already; nothing was changed",
            remedy="name another folder, or use this one: `dunning doctor --workspace " + str(directory) + "`",
        )
    left_out = shutil.ignore_patterns("target", "logs", "dbt_packages", "__pycache__", ".*")
    for name in WHAT_PEOPLE_WRITE:
        shutil.copytree(shipped / name, directory / name, ignore=left_out)
    note_shipped(directory / "dbt_like_sql")
    (directory / "inbox" / "salesforce").mkdir(parents=True)
    ignored = directory / ".gitignore"
    if not ignored.exists():
        ignored.write_text(".dunning/\ninbox/\n", encoding="utf-8")
    typer.echo(f"{directory} is a workspace now. Next:")
    typer.echo(f"  edit {directory / 'policies' / 'company.yaml'} (name, postal address, time zone, sender)")
    typer.echo(
        f"  put extracts into {directory / 'inbox' / 'salesforce'}, or try `dunning demo --workspace {directory}`"
    )
    typer.echo(f"  dunning doctor --workspace {directory}")


def doctor(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """What is configured, missing, stale. Exit code 1 when something keeps the pipeline from working."""
    from dunning_pipeline.examination import examine
    from dunning_pipeline.settings.clock import business_now

    ws = open_workspace(workspace)
    findings = examine(ws, now=business_now())
    if form is Format.json:
        print_json([vars(finding) for finding in findings])
    else:
        marks = {"ok": "ok", "info": "·", "warning": "!", "error": "✗"}
        rows = [{"": marks[f.state], "what": f.what, "finding": f.text, "remedy": f.remedy} for f in findings]
        show(rows, form)
    if any(finding.state == "error" for finding in findings):
        raise typer.Exit(1)
