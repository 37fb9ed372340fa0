"""`dunning block | assign | promise | postpone | renamed`: what people decide about a case, each with a reason."""

import getpass
from typing import Annotated, Any

import typer

from dunning_pipeline.cli.entries import ledger_of, moment, today, typed_amount, typed_day
from dunning_pipeline.cli.output import (
    Format,
    FormatOption,
    WorkspaceOption,
    open_workspace,
    print_json,
    show,
)

Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
Until = Annotated[str | None, typer.Option("--until", help="Last day, YYYY-MM-DD; default: until it is ended.")]


def block(
    account: Annotated[str | None, typer.Option("--account", help="Account id, number or key.")] = None,
    bill_group: Annotated[str | None, typer.Option("--bill-group", help="Bill group id or key.")] = None,
    invoice: Annotated[str | None, typer.Option("--invoice", help="Invoice number, id or key.")] = None,
    kind: Annotated[str, typer.Option("--kind", help="block, dispute or pause.")] = "block",
    since: Annotated[str | None, typer.Option("--from", help="First day; default: today.")] = None,
    until: Until = None,
    reason: Reason = "",
    end: Annotated[str | None, typer.Option("--end", help="End the block with this id.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Do not dun an account, bill group or invoice until a date; without a target, list what is blocked."""
    from dunning_pipeline.statements import cases, targets

    ws, now, actor = open_workspace(workspace), moment(), getpass.getuser()
    if end:
        with ledger_of(ws).begin() as connection:
            cases.unblock(connection, end, reason=reason, actor=actor, now=now)
        typer.echo(f"{end} has ended; the next run decides.")
        return
    named = {"account": account, "bill_group": bill_group, "invoice": invoice}
    chosen = {scope: text for scope, text in named.items() if text is not None}
    if not chosen:
        show(_blocks(ws), form, empty="Nothing is blocked.")
        return
    if len(chosen) > 1:
        raise typer.BadParameter("name one of --account, --bill-group, --invoice")
    [(scope, text)] = chosen.items()
    key = targets.find(ws, scope, text).key
    with ledger_of(ws).begin() as connection:
        block_id = cases.block(
            connection,
            scope=scope,
            target_key=key,
            kind=kind,
            reason=reason,
            valid_from=typed_day(since, "--from") or today(ws),
            valid_to=typed_day(until, "--until"),
            actor=actor,
            now=now,
        )
    _said(form, {"id": block_id, "scope": scope, "target": key}, f"{scope} {text} is blocked ({block_id}).")


def assign(
    target: Annotated[
        str, typer.Argument(metavar="BILL_GROUP|ACCOUNT", help="Id or key; an account has one by itself.")
    ],
    process: Annotated[
        str | None, typer.Argument(help="A process, or none. Without it, --end gives the former back.")
    ] = None,
    until: Until = None,
    reason: Reason = "",
    end: Annotated[bool, typer.Option("--end", help="End the assignment by hand.")] = False,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Give a bill group another process, or none (pause while negotiating), with a reason."""
    from dunning_pipeline.dunning.processes import load_processes
    from dunning_pipeline.statements import assigning, targets

    ws, now, actor = open_workspace(workspace), moment(), getpass.getuser()
    group = targets.find_bill_group(ws, target)
    if end or process is None:
        with ledger_of(ws).begin() as connection:
            ended = assigning.end_assignment(
                connection, bill_group_key=group.key, on=today(ws), reason=reason, actor=actor, now=now
            )
        typer.echo(f"{target}: {'its former process counts again' if ended else 'nothing was assigned by hand'}.")
        return
    with ledger_of(ws).begin() as connection:
        row = assigning.assign(
            connection,
            bill_group_key=group.key,
            account_key=group.account_key,
            process=process,
            known_processes=set(load_processes(ws)),
            reason=reason,
            valid_from=today(ws),
            valid_to=typed_day(until, "--until"),
            actor=actor,
            now=now,
        )
    _said(form, {"id": row, "bill_group": group.key, "process": process}, f"{target} is in process {process}.")


def promise(
    target: Annotated[str, typer.Argument(metavar="ACCOUNT|INVOICE", help="Id, number or key.")],
    by: Annotated[str | None, typer.Option("--by", help="The date promised, YYYY-MM-DD.")] = None,
    amount: Annotated[str | None, typer.Option("--amount", help="Amount, such as 120.00; default: all.")] = None,
    currency: Annotated[str | None, typer.Option("--currency")] = None,
    note: Annotated[str | None, typer.Option("--note")] = None,
    withdraw: Annotated[str | None, typer.Option("--withdraw", help="Take back the promise with this id.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Record a promise to pay: nothing is sent until its date; a broken one shows and dunning goes on."""
    from dunning_pipeline.statements import cases, targets

    ws, now, actor = open_workspace(workspace), moment(), getpass.getuser()
    if withdraw:
        with ledger_of(ws).begin() as connection:
            cases.withdraw_promise(connection, withdraw, reason=note or "by hand", actor=actor, now=now)
        typer.echo(f"{withdraw} is withdrawn.")
        return
    day = typed_day(by, "--by")
    if day is None:
        raise typer.BadParameter("say by when, with --by YYYY-MM-DD", param_hint="--by")
    found = targets.find_any(ws, target)
    with ledger_of(ws).begin() as connection:
        promise_id = cases.promise(
            connection,
            account_key=found.account_key,
            invoice_key=found.key if found.kind == "invoice" else None,
            promised_for=day,
            promised_on=today(ws),
            amount_minor=typed_amount(amount, currency or found.currency),
            currency=currency or found.currency if amount else None,
            max_promises=targets.max_promises(ws, found),
            note=note,
            actor=actor,
            now=now,
        )
    _said(form, {"id": promise_id, "target": found.key, "by": day}, f"{target} promised to pay by {day}.")


def postpone(
    invoice: Annotated[str, typer.Argument(help="Invoice number, id or key.")],
    until: Annotated[str, typer.Option("--until", help="The new due date, YYYY-MM-DD.")],
    reason: Reason,
    instalment: Annotated[int | None, typer.Option("--instalment", min=1, help="Only this instalment.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Give an invoice a later due date; the level that it has reached is kept."""
    from dunning_pipeline.statements import cases, targets

    ws = open_workspace(workspace)
    found = targets.find(ws, "invoice", invoice)
    day = typed_day(until, "--until")
    assert day is not None
    with ledger_of(ws).begin() as connection:
        row = cases.postpone(
            connection,
            invoice_key=found.key,
            instalment=instalment,
            postponed_to=day,
            created_on=today(ws),
            reason=reason,
            actor=getpass.getuser(),
            now=moment(),
        )
    _said(form, {"id": row, "invoice": found.key, "until": day}, f"{invoice} is due on {day}.")


def renamed(
    account: Annotated[str | None, typer.Option("--account", help="Account id, number or key, as it is now.")] = None,
    bill_group: Annotated[str | None, typer.Option("--bill-group", help="Bill group id or key, as it is now.")] = None,
    invoice: Annotated[str | None, typer.Option("--invoice", help="Invoice id or key, as it is now.")] = None,
    was: Annotated[str | None, typer.Option("--was", help="The key or id that it had before.")] = None,
    new: Annotated[bool, typer.Option("--new", help="It is none that was known before.")] = False,
    reason: Reason = "",
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Say what a source calls something else now, so that nobody is reminded anew; without a target, list it."""
    from dunning_pipeline.statements import renamed as names
    from dunning_pipeline.statements import targets

    ws, now, actor = open_workspace(workspace), moment(), getpass.getuser()
    given = {"account": account, "bill_group": bill_group, "invoice": invoice}
    chosen = {kind: text for kind, text in given.items() if text is not None}
    if not chosen:
        with ledger_of(ws).begin() as connection:
            show(names.list_renamed(connection), form, empty="Nothing has another name.")
        return
    if len(chosen) > 1:
        raise typer.BadParameter("name one of --account, --bill-group, --invoice")
    if (was is None) is not new:
        raise typer.BadParameter("say --was KEY, or --new")
    [(kind, text)] = chosen.items()
    target = targets.find(ws, kind, text)
    with ledger_of(ws).begin() as connection:
        if was is None:
            key = names.say_new(connection, target, reason=reason, actor=actor, now=now)
        else:
            key = names.say_was(connection, target, was, reason=reason, actor=actor, now=now)
    _said(
        form, {"kind": kind, "key": target.key, "known_as": key}, f"{text} is {key}, from the next `dunning build` on."
    )


def _blocks(ws: Any) -> list[dict[str, Any]]:
    from sqlalchemy import select

    from dunning_pipeline.ledger.engine import reading
    from dunning_pipeline.ledger.schema import blocks

    with reading(ledger_of(ws)) as connection:
        query = select(blocks).where(blocks.c.ended_at.is_(None)).order_by(blocks.c.created_at)
        return [dict(row._mapping) for row in connection.execute(query)]


def _said(form: Format, row: dict[str, Any], words: str) -> None:
    print_json(row) if form is Format.json else typer.echo(words)
