"""Everything on a letter as finished strings, in the reader's language and locale: what letter.typ lays out."""

import csv
import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from unicodedata import bidirectional

from dunning_pipeline.letters import formats
from dunning_pipeline.letters.markup.mirroring import is_right_to_left
from dunning_pipeline.letters.paper.annex import annex_sheets
from dunning_pipeline.letters.paper.fonts import families, printable
from dunning_pipeline.letters.paper.payment_codes import epc_payload, qr_svg, swiss_slip
from dunning_pipeline.letters.paper.postal import postal_lines, sender_line, town_lines, uses_us_letter
from dunning_pipeline.letters.wording import BOLD, UNBOLD

Document = Mapping[str, Any]
Labels = Mapping[str, str]
CHARGES = ("interest", "carried_interest", "fee", "carried_fee", "compensation")
# what is asked of `labels` here and in the annex; those of letter.typ stand there
LETTER_LABELS = (*CHARGES, "account_holder", "balance", "bic", "credit", "date", "days_overdue_column", "due_date",
                 "email", "iban", "instalment", "invoice", "level_column", "number", "open_amount", "original_amount",
                 "pay_by", "pay_online", "payment_reference", "phone", "please_pay", "principal", "vat_id",
                 "your_account")  # fmt: skip


def letter_data(
    document: Document, *, wording: Mapping[str, str], labels: Labels, logo: str | None, draft: bool
) -> dict[str, Any]:
    """The layout's `data`: strings, lists of strings and booleans only. Letters that no shipped font has become □."""
    company, statement = document["company"], document["statement"]
    is_debt = bool(document["items"]) or Decimal(document["totals"]["please_pay"]) != 0  # no bill below a thank-you
    data = {
        "lang": document["language"].replace("_", "-").split("-")[0],
        "fonts": families(document["language"]),
        "paper": "us-letter" if uses_us_letter(company["address"]["country"]) else "a4",
        "day": [int(part) for part in statement["date"].split("-")],
        "title": " ".join(part for part in (wording["subject"], statement["number"]) if part),
        "draft": draft,
        "labels": dict(labels),
        "logo": logo,
        "company": {"name": company["name"]},
        "sender_line": sender_line(company),
        "address": postal_lines(document["address"], company["address"]["country"], document["locale"]),
        "reference": _reference(document, labels),
        "footer": _footer(company, labels),
        "subject": wording["subject"],
        "opening": _paragraphs(wording["opening"]),
        "closing": _paragraphs(wording["closing"]),
        **_items(document, labels),
        "totals": _totals(document, labels) if is_debt else [],
        "pay": _pay(document, labels) if is_debt else [],
        "annex": annex_sheets(document, labels),
        "csv": _csv(document),
    }
    if is_right_to_left(document["language"]):
        data |= {key: _kept_ltr(data[key]) for key in ("sender_line", "address", "reference", "footer", "pay")}
    shown = {
        key: value if key in ("labels", "fonts", "logo", "csv") else printable(value) for key, value in data.items()
    }
    return {**shown, **_codes(document)}


def _kept_ltr(value: Any) -> Any:
    """Texts without a letter that is read from the right (+49 40 …, 20457 Hamburg) begin with a mark (U+200E) that
    keeps the order of their words among Arabic or Hebrew ones."""
    if isinstance(value, list):
        return [_kept_ltr(inner) for inner in value]
    foreign = isinstance(value, str) and not any(bidirectional(letter) in ("R", "AL") for letter in value)
    return f"\u200e{value}" if foreign else value


def _codes(document: Document) -> dict[str, Any]:
    amount, currency = document["totals"]["please_pay"], document["currency"]
    if Decimal(amount) <= 0 or document["statement"]["kind"] == "account":
        return {"qr": None, "slip": None}
    words = formats.plain_money_text(amount, currency, "de_CH").replace("’", " ")
    slip = swiss_slip(document, words)
    payload = None if slip else epc_payload(document["payment"], amount, currency)
    return {"qr": qr_svg(payload) if payload else None, "slip": printable(slip)}


def _reference(document: Document, labels: Labels) -> list[list[str]]:
    statement, account, company = document["statement"], document["account"], document["company"]
    day = formats.date_text(statement["date"], "long", document["locale"])
    deadline = statement["deadline"] and formats.date_text(statement["deadline"], "long", document["locale"])
    rows = [
        (labels["date"], day),
        (labels["number"], statement["number"]),
        (labels["your_account"], account["number"] or account["name"]),
        (labels["pay_by"], deadline),
        (labels["email"], company["email"]),
        (labels["phone"], company["phone"]),
    ]
    return [[name, value] for name, value in rows if value]


def _footer(company: Mapping[str, Any], labels: Labels) -> list[list[str]]:
    address, bank = company["address"], company["bank"]
    columns = [
        [company["name"], address["street"], *town_lines(address)],
        [company["phone"], company["email"], (company["website"] or "").removeprefix("https://")],
        [company["registry"], company["vat_id"] and f"{labels['vat_id']} {company['vat_id']}"],
        [bank["bank_name"], bank["iban"] and f"{labels['iban']} {_grouped(bank['iban'])}", bank["bic"]],
    ]
    kept = [[line for line in column if line] for column in columns]
    return [column for column in kept if column]


def _items(document: Document, labels: Labels) -> dict[str, Any]:
    locale, currency, items = document["locale"], document["currency"], document["items"]
    has_levels = any(item["level"] for item in items) and document["statement"]["kind"] != "account"
    columns = [[labels["invoice"], False, True], [labels["due_date"], False, False]]
    columns += [[labels["days_overdue_column"], True, False]]
    columns += [[labels["level_column"], True, False]] if has_levels else []
    columns += [[f"{labels['original_amount']} ({currency})", True, False]]
    columns += [[f"{labels['open_amount']} ({currency})", True, False]]
    rows, sums, total = [], [], Decimal(0)
    for item in items:
        row = [_named(item, labels, locale), [formats.date_text(item["due_date"], "medium", locale)]]
        row += [[str(item["days_overdue"]) if (item["days_overdue"] or 0) > 0 else "–"]]
        row += [[str(item["level"] or "–")]] if has_levels else []
        row += [[formats.plain_money_text(item[name], currency, locale)] for name in ("original_amount", "open_amount")]
        rows.append(row)
        total += Decimal(item["open_amount"])
        sums.append(formats.plain_money_text(str(total), currency, locale))
    return {"columns": columns, "rows": rows, "sums": sums}


def _named(item: Mapping[str, Any], labels: Labels, locale: str) -> list[str]:
    lines = [item["invoice_number"] or "–"]
    details = []
    if item["instalments"] > 1:
        details.append(f"{labels['instalment']} {item['instalment']}")
    if item["invoice_date"]:
        details.append(formats.date_text(item["invoice_date"], "medium", locale))
    if item["reference"]:
        details.append(item["reference"])
    return [*lines, " · ".join(details)] if details else lines


def _totals(document: Document, labels: Labels) -> list[list[Any]]:
    def shown(amount: str) -> str:
        return formats.money_text(amount, document["currency"], document["locale"])

    rows: list[list[Any]] = []
    if document["credits"] or document["charges"]:
        rows.append([labels["principal"], shown(document["totals"]["principal"]), False])
    for credit in document["credits"]:
        rows.append([" ".join(filter(None, (labels["credit"], credit["reference"]))), shown(credit["amount"]), False])
    for charge in document["charges"]:
        name = labels[charge["type"]] + (f" · {charge['invoice_number']}" if charge["invoice_number"] else "")
        rows.append([name, shown(charge["amount"]), False])
    final = labels["balance" if document["statement"]["kind"] == "account" else "please_pay"]
    return [*rows, [final, shown(document["totals"]["please_pay"]), True]]


def _pay(document: Document, labels: Labels) -> list[list[str]]:
    payment = document["payment"]
    rows = [
        (labels["account_holder"], payment["holder"] if payment["iban"] else None),
        (labels["iban"], payment["iban"] and _grouped(payment["iban"])),
        (labels["bic"], payment["bic"] and ", ".join(filter(None, (payment["bic"], payment["bank_name"])))),
        (labels["payment_reference"], payment["reference"]),
        (labels["pay_online"], payment["link"]),
    ]
    return [[name, value] for name, value in rows if value]


def _paragraphs(text: str) -> list[list[list[list[Any]]]]:
    """Paragraphs of lines of runs [text, is bold]."""
    return [[_runs(line) for line in block.split("\n")] for block in text.split("\n\n") if block.strip()]


def _runs(line: str) -> list[list[Any]]:
    runs: list[list[Any]] = []
    for index, part in enumerate(line.split(BOLD)):
        bold, separator, rest = part.partition(UNBOLD)
        if index and separator:
            runs += [[bold, True], [rest, False]]
        else:
            runs.append([part.replace(UNBOLD, ""), False])
    return [run for run in runs if run[0]] or [["", False]]


def _csv(document: Document) -> str | None:
    if not document["items"]:
        return None
    names = ["invoice_number", "instalment", "due_date", "days_overdue", "level", "original_amount", "open_amount"]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*names, "currency"], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    rows: Sequence[Mapping[str, Any]] = document["items"]
    writer.writerows({**row, "currency": document["currency"]} for row in rows)
    return buffer.getvalue()


def _grouped(text: str) -> str:
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
