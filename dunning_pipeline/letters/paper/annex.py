"""The annex of a letter: each interest amount with its periods, rates, days and the sources of the rates."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dunning_pipeline.letters import formats


def annex_sheets(document: Mapping[str, Any], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """One sheet per interest line that has a calculation; none for a statement without interest.

    `calculation` of a detail: {"segments": [{"from", "until", "principal", "rate", "days", "amount", "source"}],
    "total", "carried"}; amounts decimal strings, rate in per cent p.a., both days of a segment included.
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
        period = " – ".join(formats.date_text(segment[key], "medium", locale) for key in ("from", "until"))
        amount = shown(segment["amount"]) if segment.get("amount") is not None else ""
        rate = f"{formats.number_text(str(segment['rate']), locale)} %{mark}"
        rows.append([period, str(segment["days"]), shown(segment["principal"]), rate, amount])
    carried, total = calculation.get("carried"), calculation.get("total") or charge["amount"]
    more = []
    if carried and Decimal(str(carried)):
        more = [
            [labels["carried_interest"], shown(-Decimal(str(carried)))],
            [labels["interest"], shown(charge["amount"])],
        ]
    title = " ".join(filter(None, (labels["invoice"], charge["invoice_number"])))
    return {
        "title": f"{title} ({currency})",
        "rows": rows,
        "sum": shown(total),
        "more": more,
        "notes": [f"[{index}] {source}" for index, source in enumerate(sources, 1)],
    }
