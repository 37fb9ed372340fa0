"""Makes the merge document: everything a template may show of one statement, as plain words, strings and ISO dates.

statement + details (ledger) + data graph + company  →  merge document  →  e-mail, SMS, letter; frozen at closing.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from operator import itemgetter
from typing import Any
from urllib.parse import quote

from dunning_pipeline.errors import Refused
from dunning_pipeline.letters.creditor import creditor
from dunning_pipeline.letters.formats import choose_locale
from dunning_pipeline.money import amount_text
from dunning_pipeline.settings.company import Company

SCHEMA = 1
TEXT_FIELDS = ("subject", "opening", "closing", "sms")  # hand-written texts that replace the template's
_CHARGES = {"interest", "carried_interest", "fee", "carried_fee", "compensation"}

_POSITION = itemgetter("position")
_PLAIN = re.compile("[A-Za-z0-9._~-]+")  # what a link holds as it is
_UNWANTED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

Document = dict[str, Any]


def statement_document(
    *,
    statement: Mapping[str, Any],
    details: Sequence[Mapping[str, Any]],
    graph: Mapping[str, Any] | None,
    company: Company,
) -> Document:
    """The merge document of a statement: JSON-able, deterministic, of its own billing account only.

    `statement` and `details` are ledger rows (integer minor units); `graph` is the account's data graph or None.
    Amounts become decimal strings in major units, dates ISO strings; a field without a value is None.
    Raises Refused when the graph belongs to another billing account than the statement.
    """
    graph = own_graph(graph, statement["account_key"])
    language, currency = statement["language"], statement["currency"]
    address = dict(statement.get("address") or {})
    locale = choose_locale(language, address.get("country") or company.country)
    seller = creditor(company, statement.get("legal_entity"), locale)
    invoices = {row.get("invoice_key"): row for row in graph.get("invoices") or ()}
    ordered = sorted(details, key=_POSITION)
    items = [_item(row, invoices, company, currency) for row in ordered if row["type"] == "invoice"]
    header = _statement(statement, items)
    return {
        "schema": SCHEMA,
        "language": language,
        "locale": locale,
        "currency": currency,
        "time_zone": statement.get("time_zone") or company.time_zone,
        "statement": header,
        "totals": _totals(statement, items),
        "items": items,
        "charges": [_charge(row, currency) for row in ordered if row["type"] in _CHARGES],
        "credits": [_credit(row, currency) for row in ordered if row["type"] == "credit"],
        "account": _account(statement, graph),
        "bill_group": _bill_group(statement, graph),
        "contact": _contact(statement, graph),
        "address": {key: clean(address.get(key)) for key in ADDRESS_FIELDS},
        "company": seller,
        "payment": _payment(header, items, company, seller),
        "received": {"amount": None, "currency": None, "date": None, "invoice_numbers": []},
        "texts": _texts(statement.get("texts")),
    }


def _texts(written: Mapping[str, Any] | None) -> dict[str, Any]:
    if not written:
        return dict.fromkeys(TEXT_FIELDS)
    return {key: written.get(key) or None for key in TEXT_FIELDS}


CONTACT_FIELDS = ("salutation", "first_name", "last_name", "full_name", "email")
ADDRESS_FIELDS = ("name", "street", "postal_code", "city", "state", "country")


def own_graph(graph: Mapping[str, Any] | None, account_key: str) -> Mapping[str, Any]:
    """The graph, if it is of this billing account; its rows of other accounts are left out."""
    if not graph:
        return {}
    owner = graph.get("account_key") or (graph.get("account") or {}).get("account_key")
    if owner is not None and owner != account_key:
        raise Refused(
            "the data graph belongs to another billing account than the statement",
            value={"statement": account_key, "graph": owner},
            remedy="read the graph by the statement's account_key and bill_group_key",
        )
    kept = dict(graph)
    for name in ("invoices", "contacts"):
        rows = graph.get(name)
        if isinstance(rows, list):
            kept[name] = [row for row in rows if row.get("account_key") in (None, account_key)]
    return kept


def clean(value: Any) -> Any:
    """Free text of a source without control characters and without marks that turn the text around them (U+202E)."""
    if not isinstance(value, str) or value.isprintable():  # no control character and no such mark is printable
        return value
    return _UNWANTED.sub("", value)


def iso(value: date | str | None) -> str | None:
    """A date as ISO text; text is passed through, None stays None."""
    if value is None or isinstance(value, str):
        return value
    return value.isoformat()[:10]


def last_day(statement: Mapping[str, Any], invoices: Sequence[Mapping[str, Any]]) -> date | None:
    """The last day on which a reminder with these invoice lines may be said: its deadline or, while nothing is overdue,
    the first due date that it speaks of; None for what sets no date."""
    if statement["kind"] != "dunning":
        return None
    if not _is_overdue(invoices):
        return min((line["due_date"] for line in invoices if line["due_date"]), default=None)
    deadline: date | None = statement["due_date"]
    return deadline


def _is_overdue(invoices: Sequence[Mapping[str, Any]]) -> bool:
    """Charges alone are overdue."""
    return not invoices or max([line["days_overdue"] or 0 for line in invoices]) > 0


def _statement(row: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    # before the due date there is no new deadline: the invoices' own due dates hold
    has_deadline = row["kind"] == "dunning" and _is_overdue(items)
    return {
        "id": row["statement_id"],
        "number": row.get("number"),
        "kind": row["kind"],
        "date": iso(row["dunning_date"]),
        "deadline": iso(row.get("due_date")) if has_deadline else None,
        "level": row.get("level"),
        "level_name": row.get("level_name"),
        "process": row.get("process"),
        "template": row.get("template"),
    }


def _totals(row: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    currency = row["currency"]
    return {
        "principal": amount_text(row["principal_minor"], currency),
        "credits": amount_text(row["credits_minor"], currency),
        "interest": amount_text(row["interest_minor"], currency),
        "fees": amount_text(row["fees_minor"], currency),
        "please_pay": amount_text(row["please_pay_minor"], currency),
        "charges": amount_text(row["interest_minor"] + row["fees_minor"], currency),
        "item_count": len(items),
        "days_overdue": max([item["days_overdue"] or 0 for item in items], default=0),
    }


def _item(row: Mapping[str, Any], invoices: Mapping[Any, Any], company: Company, currency: str) -> dict[str, Any]:
    invoice = invoices.get(row.get("invoice_key")) or {}
    open_minor = row["open_minor"] if row.get("open_minor") is not None else row["amount_minor"]
    original = row["original_minor"] if row.get("original_minor") is not None else open_minor
    number = clean(row.get("invoice_number"))
    return {
        "invoice_id": row.get("invoice_id"),
        "invoice_number": number,
        "instalment": row.get("instalment"),
        "instalments": _instalments(row, invoice),
        "level": row.get("level"),
        "invoice_date": iso(invoice.get("invoice_date")),
        "due_date": iso(row.get("due_date")),
        "days_overdue": row.get("days_overdue"),
        "original_amount": amount_text(original, currency),
        "paid_amount": amount_text(original - open_minor, currency),
        "open_amount": amount_text(open_minor, currency),
        "advances": bool(row.get("advances")),
        "reference": clean(invoice.get("reference") or row.get("reference")),
        "description": clean(invoice.get("description")),
        "payment_link": invoice.get("payment_link") or _link(company.payment_page, number, None),
    }


def _instalments(row: Mapping[str, Any], invoice: Mapping[str, Any]) -> int:
    """How many instalments the invoice is known to have: paid ones are not in the graph, but later ones are."""
    known = [part.get("instalment") or 1 for part in invoice.get("instalments") or ()]
    return max([row.get("instalment") or 1, *known])


def _charge(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    return {
        "type": row["type"],
        "invoice_number": row.get("invoice_number"),
        "instalment": row.get("instalment"),
        "level": row.get("level"),
        "amount": amount_text(row["amount_minor"], currency),
        "reference": row.get("reference"),
        "calculation": row.get("calculation"),
    }


def _credit(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    return {
        "reference": clean(row.get("reference")),
        "date": iso(row.get("due_date")),
        "amount": amount_text(row["amount_minor"], currency),
    }


def _account(row: Mapping[str, Any], graph: Mapping[str, Any]) -> dict[str, Any]:
    known = graph.get("account") or {}
    return {
        "id": row["account_id"],
        "name": clean(row["account_name"]),
        "number": known.get("account_number"),
        "party_type": known.get("party_type"),
        "vat_id": known.get("vat_id"),
        "owner": known.get("owner"),
    }


def _bill_group(row: Mapping[str, Any], graph: Mapping[str, Any]) -> dict[str, Any]:
    known = graph.get("bill_group") or {}
    return {"id": row.get("bill_group_id"), "name": clean(known.get("name"))}


def _contact(row: Mapping[str, Any], graph: Mapping[str, Any]) -> dict[str, Any]:
    """The person the message speaks to: the contact of the first To address, else of the postal address."""
    contacts = [contact for contact in graph.get("contacts") or () if isinstance(contact, dict)]
    if not contacts:
        return dict.fromkeys(CONTACT_FIELDS)
    wanted = {text.casefold() for text in (row.get("recipients") or {}).get("to") or ()}
    found = [contact for contact in contacts if (contact.get("email") or "").casefold() in wanted]
    if not found:
        return dict.fromkeys(CONTACT_FIELDS)
    chosen = min(found, key=lambda contact: str(contact.get("contact_key")))
    return {field: clean(chosen.get(field)) or None for field in CONTACT_FIELDS}


def _payment(
    header: Mapping[str, Any], items: Sequence[Mapping[str, Any]], company: Company, seller: Mapping[str, Any]
) -> dict[str, Any]:
    numbers = list(dict.fromkeys([item["invoice_number"] for item in items if item["invoice_number"]]))
    reference = header["number"] or (numbers[0] if len(numbers) == 1 else None)
    # a page of one invoice must not stand for a debt of several: then each item carries its own link
    single = numbers[0] if len(numbers) == 1 else None
    link = _link(company.payment_page, single, header["number"])
    if single and items[0]["payment_link"]:
        link = items[0]["payment_link"]
    return {"link": link, "reference": reference, **seller["bank"]}


def _link(pattern: str | None, invoice_number: str | None, statement_number: str | None) -> str | None:
    """The payment page of this debt; only values that are in the pattern are needed, each percent-encoded."""
    if not pattern:
        return None
    for place, value in (("{invoice_number}", invoice_number), ("{statement_number}", statement_number)):
        if place in pattern:
            if not value:
                return None
            pattern = pattern.replace(place, value if _PLAIN.fullmatch(value) else quote(value, safe=""))
    return pattern
