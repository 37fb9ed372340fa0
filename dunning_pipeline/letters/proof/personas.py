"""The readers that a preview tries: sample, long name, one and 200 invoices, other currencies, gaps, an attacker."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dunning_pipeline.letters.formats import choose_locale

Document = dict[str, Any]
_LONG = (
    "Vereinigte Donau-Dampfschifffahrts-Elektrizitäten-Hauptbetriebswerk-Bauunterbeamten-Gesellschaft mbH & Co. KGaA"
)
_HOSTILE = '<script>alert(1)</script>"><img src=x> {{ 7*7 }} #eval("1") $x$ \u202eevil שלום 😀'


def personas(sample: Mapping[str, Any]) -> dict[str, Document]:
    """Name of the persona → its merge document, made from the sample."""
    return {
        "sample": dict(sample),
        "long name": _named(sample, _LONG),
        "one invoice": _with_items(sample, 1),
        "200 invoices": _with_items(sample, 200),
        "Japanese yen": _in_currency(sample, "JPY", "JP"),
        "Kuwaiti dinar": _in_currency(sample, "KWD", "KW"),
        "nothing optional": _bare(sample),
        "hostile name": _named(sample, _HOSTILE),
    }


def _named(sample: Mapping[str, Any], name: str) -> Document:
    contact = {**sample["contact"], "full_name": name, "first_name": name, "last_name": name}
    return {
        **sample,
        "account": {**sample["account"], "name": name},
        "address": {**sample["address"], "name": name},
        "contact": contact,
    }


def _with_items(sample: Mapping[str, Any], count: int) -> Document:
    pattern = sample["items"][0] if sample["items"] else None
    if pattern is None:
        return dict(sample)
    items = [{**pattern, "invoice_number": f"INV-{index:05d}"} for index in range(1, count + 1)]
    principal = Decimal(pattern["open_amount"]) * count
    charges = sum(Decimal(row["amount"]) for row in [*sample["charges"], *sample["credits"]])
    totals = {**sample["totals"], "principal": str(principal), "please_pay": str(principal + charges)}
    return {**sample, "items": items, "totals": {**totals, "item_count": count}}


def _in_currency(sample: Mapping[str, Any], currency: str, country: str) -> Document:
    from dunning_pipeline.money import minor_unit

    digits = minor_unit(currency)

    def recut(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: recut(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [recut(inner) for inner in value]
        is_amount = key.endswith("amount") or key in (
            "principal",
            "credits",
            "interest",
            "fees",
            "please_pay",
            "charges",
        )
        if is_amount and isinstance(value, str):
            return f"{Decimal(value).quantize(Decimal(1).scaleb(-digits)):f}"
        return value

    locale = choose_locale(sample["language"], country)
    address = {**sample["address"], "country": country}
    return {**recut(dict(sample)), "currency": currency, "locale": locale, "address": address}


def _bare(sample: Mapping[str, Any]) -> Document:
    empty = ("number", "owner", "vat_id")
    optional_items = dict.fromkeys(("reference", "description", "payment_link", "invoice_date"))
    return {
        **sample,
        "contact": dict.fromkeys(sample["contact"]),
        "account": {key: None if key in empty else value for key, value in sample["account"].items()},
        "statement": {**sample["statement"], "number": None, "deadline": None},
        "payment": {**sample["payment"], "link": None, "reference": None, "bic": None, "bank_name": None},
        "items": [{**item, **optional_items} for item in sample["items"]],
        "company": {**sample["company"], **dict.fromkeys(("phone", "website", "vat_id", "registry"))},
    }
