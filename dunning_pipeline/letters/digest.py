"""Makes the merge document of a digest: what is open on several billing accounts that one contact point answers for.

accounts with their open items + company  →  merge document  →  one e-mail or SMS; nothing of any other account.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from dunning_pipeline.letters.document import Document, clean, iso, statement_document
from dunning_pipeline.money import amount_text, to_minor
from dunning_pipeline.settings.company import Company

Row = Mapping[str, Any]


def digest_document(
    accounts: Sequence[tuple[Row, Sequence[Row], Sequence[Row]]],
    *,
    language: str,
    time_zone: str | None,
    template: str,
    on: date,
    company: Company,
) -> Document:
    """The merge document of a digest dated `on`: each account (account_key, account_id, account_number, account_name)
    with its open items (rows of dunning.open_items) and its credits in their currencies (rows of dunning.open_credits),
    the longest overdue first.

    It has the fields of a statement's document, of which those of a single account are empty. Amounts of different
    currencies are never added, and no account's credits pay for another. Raises ValueError for an account without an
    open item.
    """
    told = sorted((_account(*one) for one in accounts), key=_urgency)
    every = [item for _, items, _ in accounts for item in items]
    sums = _together(told)
    for row in sums:
        row["account_count"] = sum(any(one["currency"] == row["currency"] for one in a["sums"]) for a in told)
    overview = {
        "account_count": len(told),
        "item_count": len(every),
        "days_overdue": max(account["days_overdue"] for account in told),
        "sums": sums,
    }
    empty = _of_no_account(language, time_zone, template, on, sums[0]["currency"])
    document = statement_document(statement=empty, details=[], graph=None, company=company)
    return {**document, "digest": overview, "accounts": told}


def _urgency(account: Row) -> tuple[int, str, str]:
    return -account["days_overdue"], account["name"].casefold(), account["key"]


def _account(account: Row, items: Sequence[Row], credits: Sequence[Row]) -> dict[str, Any]:
    ordered = sorted(items, key=lambda one: (one["effective_due_date"], one["invoice_key"], one["instalment"]))
    return {
        "key": account["account_key"],
        "id": account["account_id"],
        "number": clean(account["account_number"]),
        "name": clean(account["account_name"]) or account["account_number"] or account["account_id"],
        "item_count": len(ordered),
        "days_overdue": max(item["days_overdue"] for item in ordered),
        "sums": _sums(ordered, credits),
        "items": [_item(item) for item in ordered],
    }


def _sums(items: Iterable[Row], credits: Iterable[Row]) -> list[dict[str, Any]]:
    """Per currency: what is left to pay, what of it is overdue, the credits that were deducted, how many items.

    Credits pay what is overdue first.
    """
    found: dict[str, list[int]] = {}
    for item in items:
        minor = to_minor(item["open_amount"], item["currency"])
        one = found.setdefault(item["currency"], [0, 0, 0, 0])
        one[0] += minor
        one[1] += minor if item["days_overdue"] > 0 else 0
        one[3] += 1
    for credit in credits:
        found[credit["currency"]][2] += to_minor(credit["amount"], credit["currency"])
    return [
        _sum(currency, open_minor - credit_minor, max(0, overdue_minor - credit_minor), credit_minor, count)
        for currency, (open_minor, overdue_minor, credit_minor, count) in sorted(found.items())
    ]


def _together(accounts: Iterable[Row]) -> list[dict[str, Any]]:
    """The sums of all accounts, per currency."""
    found: dict[str, list[int]] = {}
    for row in (row for account in accounts for row in account["sums"]):
        one = found.setdefault(row["currency"], [0, 0, 0, 0])
        for place, name in enumerate(("open_amount", "overdue_amount", "credit_amount")):
            one[place] += to_minor(Decimal(row[name] or 0), row["currency"])
        one[3] += row["item_count"]
    return [_sum(currency, *one) for currency, one in sorted(found.items())]


def _sum(currency: str, open_minor: int, overdue_minor: int, credit_minor: int, count: int) -> dict[str, Any]:
    return {
        "currency": currency,
        "open_amount": amount_text(open_minor, currency),
        "overdue_amount": amount_text(overdue_minor, currency) if overdue_minor else None,
        "credit_amount": amount_text(credit_minor, currency) if credit_minor else None,
        "item_count": count,
    }


def _item(item: Row) -> dict[str, Any]:
    return {
        "invoice_id": item["invoice_id"],
        "invoice_number": clean(item["invoice_number"]),
        "instalment": item["instalment"],
        "due_date": iso(item["effective_due_date"]),
        "days_overdue": item["days_overdue"],
        "currency": item["currency"],
        "open_amount": amount_text(to_minor(item["open_amount"], item["currency"]), item["currency"]),
    }


def _of_no_account(language: str, time_zone: str | None, template: str, on: date, currency: str) -> dict[str, Any]:
    """A statement's row in which nothing is of any account: what is said of them stands in `accounts` alone."""
    amounts = ("principal_minor", "credits_minor", "interest_minor", "fees_minor", "please_pay_minor")
    return {
        **dict.fromkeys(amounts, 0),
        **dict.fromkeys(("statement_id", "account_key", "account_id", "account_name")),
        "kind": "digest",
        "dunning_date": on,
        "currency": currency,
        "language": language,
        "time_zone": time_zone,
        "template": template,
        "address": {},
        "recipients": {},
        "texts": {},
    }
