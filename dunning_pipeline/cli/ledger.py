"""`dunning ledger …`: migrate, back up, restore and verify the record of what was done."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from dunning_pipeline.cli.entries import moment
from dunning_pipeline.cli.output import Format, FormatOption, WorkspaceOption, open_workspace, print_json, show

app = typer.Typer(no_args_is_help=True, help="The ledger: migrate, backup, restore, verify.")


@app.command()
def migrate(workspace: WorkspaceOption = None) -> None:
    """Bring the ledger to this version's schema; a no-op where it is."""
    from dunning_pipeline.ledger.engine import open_ledger
    from dunning_pipeline.ledger.migrating import current_revision, head_revision

    engine = open_ledger(open_workspace(workspace))
    typer.echo(f"The ledger is at {current_revision(engine)} (newest: {head_revision()}).")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to; never overwritten.")], workspace: WorkspaceOption = None
) -> None:
    """Copy the ledger to a file while it is in use; what a killed backup left beside it goes."""
    from dunning_pipeline.ledger import backup as copies

    typer.echo(str(copies.backup(open_workspace(workspace), file)))


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Even where the ledger in use holds runs or messages.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Put a backup in the ledger's place; the former one is kept in the state folder, and nothing leaves at first."""
    from dunning_pipeline.ledger import backup as copies

    restored = copies.restore(open_workspace(workspace), file, replace=replace, now=moment(), actor=getpass.getuser())
    typer.echo("Restored." + (f" The former ledger is {restored.kept}." if restored.kept else ""))
    for series, (first, last) in restored.lost.items():
        typer.echo(f"{series}: the numbers {first} to {last} were given after this backup and will be given again.")
    if restored.is_stopped:
        typer.echo(
            f"The stop button is pressed: {restored.waiting} messages wait, and what left after the backup is among "
            "them or is proposed again by the next `dunning daily`. Say what left (`dunning send list`, "
            "`dunning send resolve KEY sent`), then `dunning send resume`."
        )
    if restored.another:
        typer.echo(f"Beware: {restored.another}.")


@app.command()
def verify(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Check the rules of the record: sums, numbers, postings. Exit code 1 where one is broken."""
    from dunning_pipeline.ledger import verifying

    broken = verifying.verify(open_workspace(workspace))
    if form is Format.json:
        print_json(broken)
    else:
        rows = [{"rule": rule, "holds": not ids, "broken by": ", ".join(ids[:5])} for rule, ids in broken.items()]
        show(rows, form)
    if any(broken.values()):
        raise typer.Exit(1)
