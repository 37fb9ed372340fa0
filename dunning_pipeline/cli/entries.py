"""What clerks type into options, checked: amounts and days; and the moment and the ledger in which it is said."""

from datetime import date, datetime
from typing import TYPE_CHECKING

import typer

from dunning_pipeline.settings.workspace import Workspace

if TYPE_CHECKING:
    from sqlalchemy import Engine


def ledger_of(ws: Workspace) -> "Engine":
    from dunning_pipeline.ledger.engine import open_ledger

    return open_ledger(ws)


def typed_amount(amount: str | None, currency: str | None) -> int | None:
    """An amount in minor units; what the currency cannot hold is refused, never rounded."""
    from decimal import Decimal, InvalidOperation

    from dunning_pipeline.money import from_minor, minor_unit, to_minor

    if amount is None:
        return None
    if currency is None:
        raise typer.BadParameter("say in which currency, with --currency", param_hint="--currency")
    digits = minor_unit(currency)
    try:
        typed = Decimal(amount)
        minor = to_minor(typed, currency)
    except (InvalidOperation, ValueError):
        raise typer.BadParameter(f"{amount!r} is no amount; write 120.00", param_hint="--amount") from None
    if from_minor(minor, currency) != typed:
        raise typer.BadParameter(f"{amount} has more than the {digits} decimals of {currency}", param_hint="--amount")
    return minor


def typed_day(text: str | None, option: str) -> date | None:
    """A day as typed after this option."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write YYYY-MM-DD", param_hint=option) from None


def today(ws: Workspace) -> date:
    from dunning_pipeline.settings.clock import business_date

    return business_date(ws.company.time_zone)


def moment() -> datetime:
    from dunning_pipeline.settings.clock import business_now

    return business_now()
