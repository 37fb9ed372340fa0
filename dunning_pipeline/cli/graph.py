"""`dunning graph show ACCOUNT`: the document that a template may see of an account."""

from typing import Annotated

import typer

from dunning_pipeline.cli.output import WorkspaceOption, open_workspace, print_json

app = typer.Typer(no_args_is_help=True, help="The data graph that templates see.")


@app.callback()
def graph() -> None:
    """The data graph that templates see."""


@app.command("show")
def show_graph(
    account: Annotated[str, typer.Argument(help="Key, id, number, exact name or unified id of an account.")],
    bill_group: Annotated[str | None, typer.Option("--bill-group", help="Only the bill group of this key.")] = None,
    workspace: WorkspaceOption = None,
    form: Annotated[str, typer.Option("--format", help="Always JSON.")] = "json",
) -> None:
    """The JSON documents of an account, one per bill group; docs/merge_fields.md explains the fields."""
    from dunning_pipeline.sql_models.graphs.graph import read_graphs

    print_json(read_graphs(open_workspace(workspace), account, bill_group=bill_group))
