"""What people type into forms, as days, instants, amounts and addresses; a mistake says how to write it."""

from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from dunning_pipeline.console.desk import Desk
from dunning_pipeline.delivery.permission.contact_points import normal_email
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.money import minor_unit, to_minor

LARGEST_AMOUNT = Decimal(10) ** 12


def typed_day(desk: Desk, name: str) -> date:
    """The day of a field. Raises InvalidInput for anything else, an empty field too."""
    try:
        return date.fromisoformat(desk.typed(name))
    except ValueError:
        said = f"{name.replace('_', ' ')} is no date"
        raise InvalidInput(said, value=desk.typed(name), remedy="write YYYY-MM-DD") from None


def typed_day_or_none(desk: Desk, name: str) -> date | None:
    """The day of a field, None for an empty one."""
    return typed_day(desk, name) if desk.typed(name) else None


def typed_instant(desk: Desk, name: str) -> datetime:
    """The date and time of a field, in the company's zone where it names none."""
    try:
        instant = datetime.fromisoformat(desk.typed(name))
    except ValueError:
        raise InvalidInput(
            "this is no date and time", value=desk.typed(name), remedy="write it as 2025-11-14T09:00"
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=desk.workspace.company.zone)


def typed_amount(desk: Desk, name: str, currency: str | None) -> int | None:
    """The amount of a field in minor units, as the reader's language writes it; None for an empty one."""
    text = desk.typed(name)
    if not text:
        return None
    if not currency:
        raise InvalidInput("an amount needs its currency", value=text, remedy="write such as EUR")
    try:
        amount = desk.wording.read_amount(text)
        if not amount.is_finite() or abs(amount) > LARGEST_AMOUNT or amount != round(amount, minor_unit(currency)):
            raise InvalidOperation
        return to_minor(amount, currency)
    except (InvalidOperation, ValueError):
        raise InvalidInput("this is no amount", value=text, remedy="write it as 1234.56") from None


def typed_addresses(desk: Desk, name: str) -> list[str]:
    """The e-mail addresses of a field, each once. Raises InvalidInput for what is none, before anything is queued."""
    found = list(dict.fromkeys(part.strip() for part in desk.typed(name).replace(";", ",").split(",") if part.strip()))
    for address in found:
        normal_email(address)
    return found
