"""`dunning send`: deliver what is due, and look after single sends (list, resolve, retry, cancel, stop, resume)."""

import getpass
from typing import Annotated, Any, Literal

import typer

from dunning_pipeline.cli.output import Format, FormatOption, WorkspaceOption, open_workspace, print_json, show
from dunning_pipeline.delivery import WORKERS

app = typer.Typer(help="Deliver what is due; list, resolve and stop sends.")

Template = Annotated[str, typer.Option("--template", help="Name of an e-mail template.")]
AtOnce = Annotated[bool, typer.Option("--now", help="Do not wait for the send hour.")]
To = Annotated[str | None, typer.Option("--to", help="Other recipients, separated by commas.")]
Cc = Annotated[str | None, typer.Option("--cc", help="Copies, separated by commas.")]
Bcc = Annotated[str | None, typer.Option("--bcc", help="A blind copy, for example to me.")]
Subject = Annotated[str | None, typer.Option("--subject")]
Body = Annotated[str | None, typer.Option("--body", help="Plain words instead of the template's.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; kept in the audit trail.")]


@app.callback(invoke_without_command=True)
def send(
    context: typer.Context,
    now: Annotated[bool, typer.Option("--now", help="Whatever the hour, weekend or holiday; nothing else.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, max=256, help="Messages in flight at most.")] = WORKERS,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Deliver what is due: each message at most once, whatever happens.

    Every message is checked again seconds before it leaves: paid or partly paid debts are not reminded, blocks,
    consent, suppressions and quiet hours hold. Ends with the counts per outcome; 1 where a way out is closed.
    """
    if context.invoked_subcommand is not None:
        return
    from dunning_pipeline.delivery.working.worker import deliver
    from dunning_pipeline.settings.clock import business_now

    ws = open_workspace(workspace)
    with _progress(form) as advance:
        counts = deliver(ws, now=business_now(), workers=workers, send_now=now, progress=advance)
    errors = counts.get("errors", [])
    if form is Format.json:
        print_json(counts)
    else:
        rows = [{"outcome": name, "sends": number} for name, number in counts.items() if isinstance(number, int)]
        show([row for row in rows if row["sends"]], form, empty="Nothing is due.", columns=["outcome", "sends"])
    for error in errors:
        typer.echo(f"dunning send: {error}", err=True)
    if errors:
        raise typer.Exit(1)


@app.command()
def plan(
    plan: Annotated[str, typer.Argument(help="Key or source id of a collection plan.")],
    template: Template,
    now: AtOnce = False,
    to: To = None,
    cc: Cc = None,
    bcc: Bcc = None,
    subject: Subject = None,
    body: Body = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Queue the message of one collection plan; once per plan and day."""
    said = _said(to=to, cc=cc, bcc=bcc, subject=subject, body=body)
    _queue("plan", plan, template, said, at_once=now, workspace=workspace, form=form)


@app.command()
def account(
    account: Annotated[str, typer.Argument(help="Key or source id of an account.")],
    template: Template,
    now: AtOnce = False,
    to: To = None,
    cc: Cc = None,
    bcc: Bcc = None,
    subject: Subject = None,
    body: Body = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Queue a message of one account, with its open items; once per account and day. It changes no level."""
    said = _said(to=to, cc=cc, bcc=bcc, subject=subject, body=body)
    _queue("account", account, template, said, at_once=now, workspace=workspace, form=form)


@app.command("list")
def list_sends(
    status: Annotated[str | None, typer.Option("--status", help="queued, held, sent, failed, unknown …")] = None,
    statement: Annotated[str | None, typer.Option("--statement", help="Id or number of a statement.")] = None,
    campaign: Annotated[str | None, typer.Option("--campaign")] = None,
    account: Annotated[str | None, typer.Option("--account", help="Account id or key.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Every send with its status, and what the provider told since."""
    from dunning_pipeline.delivery.reading import read_sends

    rows = read_sends(open_workspace(workspace), status=status, statement=statement, campaign=campaign, account=account)
    show(rows, form, columns=["key", "channel", "to", "status", "reason", "delivery", "provider"], empty="No sends.")
    if form is Format.table:
        for why in dict.fromkeys((row["reason"], row["explanation"], row["remedy"]) for row in rows):
            if why[1]:
                typer.echo(f"{why[0]}: {why[1]}" + (f"\n  → {why[2]}" if why[2] else ""))


@app.command()
def resolve(
    key: str,
    outcome: Annotated[str | None, typer.Argument(help="sent or not-sent; without it the provider is asked.")] = None,
    reason: Reason = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Settle an unknown send by what a person knows, or by the provider's activity log (KEY `all`: every one).

    Of one that waits a person may say that it was sent: in a restored ledger it may have left before.
    """
    from dunning_pipeline.delivery.working import resolving

    ws = open_workspace(workspace)
    if outcome is None:
        for settled, status in resolving.ask_provider(ws, key, now=_now(), actor=_me()).items():
            typer.echo(f"{settled}: {status}")
        return
    if outcome not in ("sent", "not-sent"):
        raise typer.BadParameter("write sent or not-sent", param_hint="OUTCOME")
    resolving.resolve_by_person(ws, key, was_sent=outcome == "sent", now=_now(), actor=_me(), reason=reason)
    typer.echo(f"{key}: {'sent' if outcome == 'sent' else 'queued again'}")


@app.command()
def stop(reason: Reason = None, workspace: WorkspaceOption = None) -> None:
    """The stop button: no worker lets another message leave until `dunning send resume`."""
    from dunning_pipeline.delivery.switches import switch_on

    _write(workspace, lambda c, ws: switch_on(c, "stop", actor=_me(), reason=reason, at=_now()))
    typer.echo("Sending is stopped. `dunning send resume` lets it go on.")


@app.command()
def resume(
    provider: Annotated[str | None, typer.Option("--provider", help="Close this provider's circuit instead.")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Let messages leave again after `stop`, and from this place where the ledger was copied or moved."""
    from dunning_pipeline.delivery import switches
    from dunning_pipeline.errors import Refused

    if provider:
        changed = _write(workspace, lambda c, ws: switches.switch_off(c, f"circuit:{provider}", actor=_me(), at=_now()))
    else:
        changed, why = _write(workspace, lambda c, ws: switches.resume(c, actor=_me(), at=_now()))
        if why is not None:
            raise Refused(f"sending stays stopped: {why}")
    typer.echo("Sending goes on." if changed else "Sending was not stopped.")


@app.command()
def cancel(key: str, reason: Reason = None, workspace: WorkspaceOption = None) -> None:
    """Cancel a queued or held send."""
    from dunning_pipeline.delivery.queue import cancel_send

    _write(workspace, lambda c, ws: cancel_send(c, key, now=_now(), actor=_me(), reason=reason or "by hand"))
    typer.echo(f"{key}: cancelled")


@app.command()
def retry(
    key: str,
    newest_template: Annotated[
        bool, typer.Option("--newest-template", help="With the template published now, not the one it was queued with.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Queue a failed or held send again, after its cause was corrected."""
    from dunning_pipeline.delivery.queue import requeue
    from dunning_pipeline.delivery.renewing import has_newer_template, renew_template

    def write(connection: Any, ws: Any) -> bool:
        if newest_template:
            renew_template(connection, ws, key, now=_now(), actor=_me())
        requeue(connection, key, now=_now(), actor=_me())
        return has_newer_template(connection, key)

    is_behind = _write(workspace, write)
    typer.echo(f"{key}: queued again")
    if is_behind:
        typer.echo(
            "It keeps the template it was queued with; --newest-template takes the one published since.", err=True
        )


def _write(workspace: str | None, work: Any) -> Any:
    from dunning_pipeline.ledger.engine import open_ledger

    ws = open_workspace(workspace)
    with open_ledger(ws).begin() as connection:
        return work(connection, ws)


def _now() -> Any:
    from dunning_pipeline.settings.clock import business_now

    return business_now()


def _me() -> str:
    return getpass.getuser()


def _progress(form: Format) -> Any:
    """A progress bar on a terminal, nothing elsewhere; used as `with _progress(form) as advance: …`."""
    import sys
    from contextlib import contextmanager

    @contextmanager
    def bar() -> Any:
        if form is not Format.table or not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("sending", total=None)
            yield lambda text, done, total: progress.update(task, completed=done, total=total)

    return bar()


def _queue(
    what: Literal["plan", "account"],
    text: str,
    template: str,
    said: dict[str, Any] | None,
    *,
    at_once: bool,
    workspace: str | None,
    form: Format,
) -> None:
    from dunning_pipeline.campaigns.plan_sending import send_by_hand

    ws = open_workspace(workspace)
    outcome = send_by_hand(ws, what, text, template=template, now=_now(), actor=_me(), send_now=at_once, overrides=said)
    show([{what: text, "outcome": outcome}], form)


def _said(**typed: str | None) -> dict[str, Any] | None:
    """What was typed for this one message; addresses as lists."""
    lists = ("to", "cc", "bcc")
    said: dict[str, Any] = {
        name: [part.strip() for part in text.split(",") if part.strip()] if name in lists else text
        for name, text in typed.items()
        if text
    }
    return said or None
