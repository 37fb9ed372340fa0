"""`dunning charge`: the fees and interest that closed statements posted, listed, waived and paid."""

import getpass
from typing import Annotated

import typer

from dunning_pipeline.cli.entries import ledger_of, moment, today, typed_amount, typed_day
from dunning_pipeline.cli.output import (
    DateOption,
    Format,
    FormatOption,
    WorkspaceOption,
    open_workspace,
    parse_date,
    show,
)

charge = typer.Typer(no_args_is_help=True, help="Fees and interest charged: list, waive, pay.")


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

    with reading(ledger_of(open_workspace(workspace))) as connection:
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
    ids: Annotated[list[str], typer.Argument(metavar="ID…")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Waive what is owed of charges."""
    from dunning_pipeline.statements.booking import charges

    ws = open_workspace(workspace)
    with ledger_of(ws).begin() as connection:
        for posting in ids:
            done = charges.waive(
                connection, posting, on=today(ws), reason=reason, actor=getpass.getuser(), now=moment()
            )
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
    with reading(ledger_of(ws)) as connection:
        known = charges.list_charges(connection, ids=[posting])
    currency = known[0].posting["currency"] if known else "EUR"
    with ledger_of(ws).begin() as connection:
        left = charges.pay(
            connection,
            posting,
            amount_minor=typed_amount(amount, currency) or 0,
            reference=reference,
            on=typed_day(on, "--on") or today(ws),
            actor=getpass.getuser(),
            now=moment(),
        )
    typer.echo(f"{posting}: {amount_text(left, currency)} {currency} is still owed.")
