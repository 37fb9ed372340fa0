"""The annex of a letter: each interest amount with its periods, rates, days and the sources of the rates."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from dunning_pipeline.letters import formats
from dunning_pipeline.money import amount_text, minor_unit


def annex_sheets(document: Mapping[str, Any], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """One sheet per interest line that has a calculation; none for a statement without interest.

    `calculation` of a detail: {"segments": [{"from_day", "to_day", "principal", "percent", "base_percent", "days",
    "source"}], "day_count", "total_minor", "billed_minor"}; percent a year, both days of a segment included.
    """
    sheets = []
    for charge in document["charges"]:
        calculation = charge.get("calculation") or {}
        segments = calculation.get("segments") if isinstance(calculation, Mapping) else None
        if segments:
            sheets.append(_sheet(charge, calculation, segments, document, labels))
    return sheets


def _sheet(charge: Any, calculation: Any, segments: Any, document: Any, labels: Any) -> dict[str, Any]:
    locale, currency = document["locale"], document["currency"]

    def shown(amount: Any) -> str:
        return formats.plain_money_text(str(amount), currency, locale)

    sources: list[str] = []
    rows = []
    for segment in segments:
        source = segment.get("source")
        if source and source not in sources:
            sources.append(source)
        mark = f" [{sources.index(source) + 1}]" if source else ""
        period = " – ".join(formats.date_text(segment[key], "medium", locale) for key in ("from_day", "to_day"))
        share = _unrounded(segment, calculation.get("day_count"), minor_unit(currency) + 2)
        rate = f"{_rate(segment, locale)}{mark}"
        rows.append(
            [period, str(segment["days"]), shown(segment["principal"]), rate, formats.number_text(share, locale)]
        )
    billed, total = calculation.get("billed_minor"), calculation.get("total_minor")
    more = []
    if billed:
        more = [
            [labels["carried_interest"], shown(amount_text(-billed, currency))],
            [labels["interest"], shown(charge["amount"])],
        ]
    title = " ".join(filter(None, (labels["invoice"], charge["invoice_number"])))
    return {
        "title": f"{title} ({currency})",
        "rows": rows,
        "sum": shown(charge["amount"] if total is None else amount_text(total, currency)),
        "more": more,
        "notes": [f"[{index}] {source}" for index, source in enumerate(sources, 1)],
    }


def _rate(segment: Mapping[str, Any], locale: str) -> str:
    """11.27 % (2.27 % + 9 %): the rate, and the base rate with its margin where the law has one."""
    percent = Decimal(str(segment["percent"]))
    shown = f"{_percent(percent, locale)}"
    if segment.get("base_percent") is None:
        return shown
    base = Decimal(str(segment["base_percent"]))
    return f"{shown} ({_percent(base, locale)} + {_percent(percent - base, locale)})"


def _percent(value: Decimal, locale: str) -> str:
    return f"{formats.number_text(f'{value.normalize():f}', locale)} %"


def _unrounded(segment: Mapping[str, Any], day_count: str | None, digits: int) -> str:
    """The stretch's share with two more decimals than the currency has: only the sum is rounded to the currency."""
    year = 360 if (day_count or "").endswith("/360") else 365
    share = Decimal(str(segment["principal"])) * Decimal(str(segment["percent"])) * segment["days"] / (100 * year)
    return f"{share.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP):f}"
