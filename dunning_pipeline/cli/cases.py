"""`dunning block | assign | promise | postpone | charge`: what people decide about a case, each with a reason."""

import getpass
from datetime import date as Date
from datetime import datetime
from typing import Annotated, Any

import typer

from dunning_pipeline.cli.output import (
    DateOption,
    Format,
    FormatOption,
    WorkspaceOption,
    open_workspace,
    parse_date,
    print_json,
    show,
)

charge = typer.Typer(no_args_is_help=True, add_completion=False, help="Fees and interest charged: list, waive, pay.")

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

    ws, now, actor = open_workspace(workspace), _now(), getpass.getuser()
    if end:
        with _ledger(ws).begin() as connection:
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
    with _ledger(ws).begin() as connection:
        block_id = cases.block(
            connection,
            scope=scope,
            target_key=key,
            kind=kind,
            reason=reason,
            valid_from=_day(since, "--from") or _today(ws),
            valid_to=_day(until, "--until"),
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

    ws, now, actor = open_workspace(workspace), _now(), getpass.getuser()
    group = targets.find_bill_group(ws, target)
    if end or process is None:
        with _ledger(ws).begin() as connection:
            ended = assigning.end_assignment(
                connection, bill_group_key=group.key, on=_today(ws), reason=reason, actor=actor, now=now
            )
        typer.echo(f"{target}: {'its former process counts again' if ended else 'nothing was assigned by hand'}.")
        return
    with _ledger(ws).begin() as connection:
        row = assigning.assign(
            connection,
            bill_group_key=group.key,
            account_key=group.account_key,
            process=process,
            known_processes=set(load_processes(ws)),
            reason=reason,
            valid_from=_today(ws),
            valid_to=_day(until, "--until"),
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

    ws, now, actor = open_workspace(workspace), _now(), getpass.getuser()
    if withdraw:
        with _ledger(ws).begin() as connection:
            cases.withdraw_promise(connection, withdraw, reason=note or "by hand", actor=actor, now=now)
        typer.echo(f"{withdraw} is withdrawn.")
        return
    day = _day(by, "--by")
    if day is None:
        raise typer.BadParameter("say by when, with --by YYYY-MM-DD", param_hint="--by")
    found = targets.find_any(ws, target)
    with _ledger(ws).begin() as connection:
        promise_id = cases.promise(
            connection,
            account_key=found.account_key,
            invoice_key=found.key if found.kind == "invoice" else None,
            promised_for=day,
            promised_on=_today(ws),
            amount_minor=_minor(amount, currency or found.currency),
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
    day = _day(until, "--until")
    assert day is not None
    with _ledger(ws).begin() as connection:
        row = cases.postpone(
            connection,
            invoice_key=found.key,
            instalment=instalment,
            postponed_to=day,
            created_on=_today(ws),
            reason=reason,
            actor=getpass.getuser(),
            now=_now(),
        )
    _said(form, {"id": row, "invoice": found.key, "until": day}, f"{invoice} is due on {day}.")


@charge.command("list")
def list_charges(
    account: Annotated[str | None, typer.Option("--account", help="Account id or key.")] = None,
    owed: Annotated[bool, typer.Option("--owed", help="Only what is still owed.")] = False,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Charges posted at closing, and what of them is owed."""
    from dunning_pipeline.ledger.engine import reading
    from dunning_pipeline.statements.booking import charges

    with reading(_ledger(open_workspace(workspace))) as connection:
        rows = [one.as_json() for one in charges.list_charges(connection, account=account, only_owed=owed)]
    columns = ("id", "type", "statement", "account_key", "level", "amount", "owed", "currency", "posted_on")
    show(rows, form, columns=columns, empty="No charges.")


@charge.command()
def balance(
    subject: Annotated[str, typer.Argument(metavar="ACCOUNT|INVOICE", help="Id, number or key.")],
    date: DateOption = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """What is owed with charges: open principal, charges, and both, by invoice."""
    from dunning_pipeline.dunning.balances import balances

    ws = open_workspace(workspace)
    rows = balances(ws, subject, on=parse_date(date, ws))
    columns = ("invoice_number", "currency", "open_amount", "charges", "open_amount_with_charges")
    show(rows, form, columns=columns, empty="Nothing is owed.")


@charge.command()
def waive(
    ids: Annotated[list[str], typer.Argument(metavar="ID…")], reason: Reason, workspace: WorkspaceOption = None
) -> None:
    """Waive what is owed of charges."""
    from dunning_pipeline.statements.booking import charges

    ws = open_workspace(workspace)
    with _ledger(ws).begin() as connection:
        for posting in ids:
            done = charges.waive(connection, posting, on=_today(ws), reason=reason, actor=getpass.getuser(), now=_now())
            typer.echo(f"{posting}: {'waived' if done else 'nothing was owed'}.")


@charge.command()
def pay(
    posting: Annotated[str, typer.Argument(metavar="ID")],
    amount: Annotated[str, typer.Option("--amount", help="In major units, such as 5.00.")],
    reference: Annotated[str, typer.Option("--reference", help="The bank's reference; the same again is a no-op.")],
    on: Annotated[str | None, typer.Option("--on", help="Booked on; default: today.")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Record a payment against a charge. Payments of invoices come with the data streams."""
    from dunning_pipeline.ledger.engine import reading
    from dunning_pipeline.money import amount_text
    from dunning_pipeline.statements.booking import charges

    ws = open_workspace(workspace)
    with reading(_ledger(ws)) as connection:
        known = charges.list_charges(connection, ids=[posting])
    currency = known[0].posting["currency"] if known else "EUR"
    with _ledger(ws).begin() as connection:
        left = charges.pay(
            connection,
            posting,
            amount_minor=_minor(amount, currency) or 0,
            reference=reference,
            on=_day(on, "--on") or _today(ws),
            actor=getpass.getuser(),
            now=_now(),
        )
    typer.echo(f"{posting}: {amount_text(left, currency)} {currency} is still owed.")


def _blocks(ws: Any) -> list[dict[str, Any]]:
    from sqlalchemy import select

    from dunning_pipeline.ledger.engine import reading
    from dunning_pipeline.ledger.schema import blocks

    with reading(_ledger(ws)) as connection:
        query = select(blocks).where(blocks.c.ended_at.is_(None)).order_by(blocks.c.created_at)
        return [dict(row._mapping) for row in connection.execute(query)]


def _ledger(ws: Any) -> Any:
    from dunning_pipeline.ledger.engine import open_ledger

    return open_ledger(ws)


def _minor(amount: str | None, currency: str | None) -> int | None:
    from decimal import Decimal, InvalidOperation

    from dunning_pipeline.money import to_minor

    if amount is None:
        return None
    if currency is None:
        raise typer.BadParameter("say in which currency, with --currency", param_hint="--currency")
    try:
        return to_minor(Decimal(amount), currency)
    except InvalidOperation:
        raise typer.BadParameter(f"{amount!r} is no amount; write 120.00", param_hint="--amount") from None


def _day(text: str | None, option: str) -> Date | None:
    try:
        return Date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write YYYY-MM-DD", param_hint=option) from None


def _today(ws: Any) -> Date:
    from dunning_pipeline.settings.clock import business_date

    return business_date(ws.company.time_zone)


def _now() -> datetime:
    from dunning_pipeline.settings.clock import business_now

    return business_now()


def _said(form: Format, row: dict[str, Any], words: str) -> None:
    print_json(row) if form is Format.json else typer.echo(words)
