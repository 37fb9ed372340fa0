"""A report as a person reads it: cells by locale, one HTML file, a PDF, a CSV that a spreadsheet opens safely."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from dunning_pipeline.console.templates import page_templates
from dunning_pipeline.console.wording import Wording
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.money import minor_unit
from dunning_pipeline.reports.printing import report_pdf
from dunning_pipeline.spreadsheets import safe_cell

Rows = Sequence[Mapping[str, Any]]
SPOKEN = frozenset({"type", "channel", "kind"})  # columns whose values are words of the product


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A report's texts in one language: what page, file, PDF and mail show alike."""

    title: str
    about: str
    company: str
    day: str
    columns: list[dict[str, Any]]  # title, number: right-aligned
    rows: list[list[str]]
    empty: str


def sheet(rows: Rows, *, title: str, about: str, company: str, day: date, wording: Wording) -> Sheet:
    names = list(rows[0]) if rows else []
    numbers = {n for n in names if any(_is_number(row[n]) for row in rows)}
    columns = [{"title": wording.text(name.replace("_", " ")), "number": name in numbers} for name in names]
    return Sheet(
        title=wording.text(title),
        about=wording.text(about),
        company=company,
        day=wording.day(day),
        columns=columns,
        rows=[[_cell(row, name, wording) for name in names] for row in rows],
        empty=wording.text("Nothing to report yet."),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _cell(row: Mapping[str, Any], name: str, wording: Wording) -> str:
    value = row[name]
    if value is None:
        return wording.text("not yet due") if name == "from_days" else ""
    if isinstance(value, bool):
        return wording.text("yes" if value else "no")
    if isinstance(value, Decimal) and row.get("currency"):
        return wording.amount(value, row["currency"])
    if _is_number(value):
        return wording.number(value)
    if isinstance(value, date):
        return wording.month(value) if name == "month" else wording.day(value.isoformat())
    return wording.text(value.replace("_", " ")) if name in SPOKEN else str(value)


def html_file(sheet: Sheet, *, svg: str, wording: Wording) -> str:
    """One HTML file with the chart inside and no reference to anything: it can be mailed and opened anywhere."""
    return (
        page_templates(wording.language)
        .get_template("report_file.html")
        .render(sheet=sheet, svg=svg, language=wording.language)
    )


def pdf_file(sheet: Sheet, *, svg: str, day: date, wording: Wording) -> bytes:
    return report_pdf({**vars(sheet), "chart": svg, "language": wording.language}, day=day)


def csv_file(rows: Rows) -> str:
    """The rows with amounts in the decimals of their currency, for programs: not by locale."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["empty"], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _plain(value, row) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _plain(value: Any, row: Mapping[str, Any]) -> Any:
    if isinstance(value, Decimal) and row.get("currency"):
        try:
            return f"{value:.{minor_unit(row['currency'])}f}"
        except InvalidInput:  # a source's word that is no currency
            return value
    return safe_cell(value)
