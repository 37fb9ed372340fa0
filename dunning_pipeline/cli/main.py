"""The `dunning` command: names every command, and imports the module of one only when that one is called."""

import os
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

# name → (module below dunning_pipeline.cli, object in it, one-line help). A Typer object is a group of commands, a
# function is a single command. The help stands here so that `dunning --help` imports nothing.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("demo", "demo", "The main job on a generated company; ends by saying what to look at"),
    "init": ("workspace", "init", "Make a workspace: policies, templates and SQL models to start from"),
    "doctor": ("workspace", "doctor", "What is configured, missing, stale"),
    "ingest": ("streams", "ingest", "Read the data streams into the warehouse"),
    "build": ("models", "build", "Build the SQL models and profiles, check them, publish the snapshot"),
    "segment": ("segments", "app", "List, preview, compare and publish segments"),
    "profile": ("profiles", "app", "Unified profiles: show, explain, review, decide, validate"),
    "graph": ("graph", "app", "The data graph that templates see"),
    "process": ("processes", "app", "Dunning processes: list, check, simulate, back-test"),
    "law": ("law", "app", "Interest rates and lump sums: show, import"),
    "daily": ("daily", "daily", "Everything that the daily schedule does, up to the queue"),
    "run": ("runs", "run", "One dunning run: drafts for a dunning date"),
    "runs": ("runs", "app", "List and delete dunning runs"),
    "explain": ("runs", "explain", "Why an account or invoice was dunned, or was not"),
    "statement": ("statements", "app", "Statements: list, show, edit, close, void, pdf, send …"),
    "campaign": ("campaigns", "app", "Campaigns: list, run, schedule, pause, report"),
    "calendar": ("campaigns", "calendar", "What is planned and what was sent, also as .ics"),
    "send": ("sending", "app", "Deliver what is due; list, resolve and stop sends"),
    "consent": ("consent", "app", "Consent of contact points: import, show"),
    "suppress": ("consent", "suppress", "Never write to an address or number again"),
    "block": ("cases", "block", "Do not dun an account, bill group or invoice until a date"),
    "assign": ("cases", "assign", "Give a bill group another process, or none"),
    "promise": ("cases", "promise", "Record a promise to pay"),
    "postpone": ("cases", "postpone", "Postpone an invoice's due date"),
    "renamed": ("cases", "renamed", "Say what a source calls something else now"),
    "charge": ("charges", "charge", "Fees and interest charged: list, waive, pay"),
    "template": ("templates", "app", "Templates: list, check, preview, publish"),
    "report": ("reports", "app", "Reports: ageing, recovery, delivery"),
    "ledger": ("ledger", "app", "The ledger: migrate, backup, restore, verify"),
    "console": ("servers", "console", "The clerk's web console, on loopback unless told"),
    "webhook": ("servers", "webhook", "Receives the providers' signed events, on loopback unless told"),
}


class LazyGroup(TyperGroup):
    """Resolves a command from COMMANDS when it is called; a missing part says so and exits 1."""

    is_listing = False

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.is_listing = True  # the list of commands needs their summaries, not their modules
        try:
            super().format_help(ctx, formatter)
        finally:
            self.is_listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, summary = COMMANDS[cmd_name]
        if self.is_listing:
            return _single(cmd_name, lambda: None, summary)
        try:
            found = getattr(import_module(f"dunning_pipeline.cli.{module}"), attribute)
        except (ModuleNotFoundError, AttributeError) as missing:
            missing_name = getattr(missing, "name", None) or ""
            if isinstance(missing, ModuleNotFoundError) and not missing_name.startswith("dunning_pipeline"):
                return _explains(cmd_name, f"`{missing_name}` is not installed; run `make setup`")
            if isinstance(missing, ModuleNotFoundError) or str(missing).endswith(f"no attribute {attribute!r}"):
                return _explains(cmd_name, f"dunning_pipeline.cli.{module} ({attribute}) is not part of this version")
            raise
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name, group.help = cmd_name, group.help or summary
            return group
        return _single(cmd_name, found, summary)


def _single(name: str, function: Any, summary: str, **settings: Any) -> Any:
    one = typer.Typer(add_completion=False)
    one.command(name, help=function.__doc__ or summary, short_help=summary, **settings)(function)
    return typer.main.get_command(one)


def _explains(name: str, reason: str) -> Any:
    def refuse() -> None:
        typer.echo(f"dunning {name}: {reason}", err=True)
        raise typer.Exit(1)

    lenient = {"ignore_unknown_options": True, "allow_extra_args": True}
    return _single(name, refuse, reason, context_settings=lenient, add_help_option=False)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Overdue invoices become one correct, polite, lawful message each.",
)


@app.callback()
def options(
    workspace: Annotated[str | None, typer.Option("--workspace", help="Folder of the workspace.")] = None,
) -> None:
    if workspace:
        os.environ["DUNNING_WORKSPACE"] = workspace


def main() -> None:
    """Entry point: 0 done, 1 refused or failed with the reason on stderr, 2 usage."""
    import gc

    from dunning_pipeline.errors import DunningError

    gc.set_threshold(50_000, 20, 20)  # modules and rows in bulk are no garbage: a tenth of a short command was looking
    try:
        app()
    except DunningError as error:
        typer.echo(f"dunning: {error}", err=True)
        raise SystemExit(1) from None
    except Exception as error:
        from dunning_pipeline.ledger.troubles import in_words

        told = in_words(error)
        if told is None:
            raise
        typer.echo(f"dunning: {told}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
