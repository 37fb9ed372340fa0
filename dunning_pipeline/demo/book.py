"""Collects the rows of one generated source, object by object, in the order and with the columns they are written."""

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from dunning_pipeline.demo.numbers import record_id
from dunning_pipeline.money import minor_unit


class Book:
    """Rows per object; every row of the CRM gets the next id of its object."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, str]]] = {}

    def add(self, entity: str, fields: Mapping[str, Any]) -> str:
        """Append a CRM row and return its new Id; None becomes an empty field, dates ISO, booleans true or false."""
        rows = self.rows.setdefault(entity, [])
        identifier = record_id(entity, len(rows) + 1)
        rows.append({"Id": identifier, **{name: written(value) for name, value in fields.items()}})
        return identifier

    def append(self, entity: str, fields: Mapping[str, Any]) -> None:
        """Append a row that brings its own key."""
        self.rows.setdefault(entity, []).append({name: written(value) for name, value in fields.items()})


def written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def money(value: float | Decimal, currency: str) -> Decimal:
    """A believable amount as exact decimal with the currency's number of decimals."""
    step = Decimal(1).scaleb(-minor_unit(currency))
    return Decimal(str(value)).quantize(step, rounding=ROUND_HALF_UP)
