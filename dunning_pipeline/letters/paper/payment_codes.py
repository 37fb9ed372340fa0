"""QR codes on letters: EPC069-12 for euro transfers, and the Swiss QR bill's payment part."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import segno

# Participants of the SEPA scheme by country of the IBAN (EPC409-09); outside of it no banking app reads the code.
_SEPA_CODES = """AD AT BE BG CH CY CZ DE DK EE ES FI FR GB
GI GR HR HU IE IS IT LI LT LU LV MC MT NL NO PL PT RO SE SI SK SM VA"""
_SEPA = frozenset(_SEPA_CODES.split())
_QR_LANGUAGES = ("de", "fr", "it", "en")
_SLIP_WORDS = {
    "de": "Empfangsschein|Zahlteil|Konto / Zahlbar an|Referenz|Zusätzliche Informationen|Zahlbar durch|Währung|Betrag|"
    "Annahmestelle",
    "fr": "Récépissé|Section paiement|Compte / Payable à|Référence|Informations supplémentaires|Payable par|Monnaie|"
    "Montant|Point de dépôt",
    "it": "Ricevuta|Sezione pagamento|Conto / Pagabile a|Riferimento|Informazioni supplementari|Pagabile da|Valuta|"
    "Importo|Punto di accettazione",
    "en": "Receipt|Payment part|Account / Payable to|Reference|Additional information|Payable by|Currency|Amount|"
    "Acceptance point",
}
_SLIP_KEYS = (
    "receipt title account_label reference_label message_label debtor_label currency_label amount_label acceptance"
)


def epc_payload(payment: Mapping[str, Any], amount: str, currency: str) -> str | None:
    """The EPC069-12 text (version 002, BCD … SCT), or None where it does not apply: no IBAN in SEPA, not in euro,
    or an amount outside of 0.01 to 999,999,999.99.
    """
    iban = payment.get("iban") or ""
    value = Decimal(amount)
    if currency != "EUR" or iban[:2] not in _SEPA or not Decimal("0.01") <= value <= Decimal("999999999.99"):
        return None
    lines = [
        "BCD",
        "002",
        "1",
        "SCT",
        payment.get("bic") or "",
        _cut(payment["holder"], 70),
        iban,
        f"EUR{value:f}",
        "",
        "",
        _cut(payment.get("reference") or "", 140),
    ]
    return "\n".join(lines).rstrip("\n")


def swiss_payload(document: Mapping[str, Any]) -> str | None:
    """The Swiss QR code's text (SPC 0200, structured addresses), or None where the creditor has no CH or LI account,
    or the currency is neither CHF nor EUR.
    """
    payment, company, address = document["payment"], document["company"], document["address"]
    iban, currency = payment.get("iban") or "", document["currency"]
    if iban[:2] not in ("CH", "LI") or currency not in ("CHF", "EUR"):
        return None
    creditor = _party(payment["holder"], company["address"])
    debtor = _party(address["name"], address) if address.get("name") and address.get("city") else [""] * 7
    reference = payment.get("reference") or ""
    amount = f"{Decimal(document['totals']['please_pay']):f}"
    lines = ["SPC", "0200", "1", iban, *creditor, *[""] * 7, amount, currency, *debtor]
    # a QR-IBAN (institute 30000 to 31999) would need a QR reference; those bills are made by the biller's own system
    structured = scor_reference(reference) if reference else ""
    lines += ["SCOR", structured] if structured else ["NON", ""]
    return "\n".join([*lines, _cut(reference, 140), "EPD"])


def swiss_slip(document: Mapping[str, Any], amount_words: str) -> dict[str, Any] | None:
    """Words and code of the payment part, in German, French, Italian or English as the scheme allows."""
    payload = swiss_payload(document)
    if payload is None:
        return None
    language = document["language"][:2]
    words = _SLIP_WORDS[language if language in _QR_LANGUAGES else "en"].split("|")
    payment, address = document["payment"], document["address"]
    reference = scor_reference(payment["reference"]) if payment.get("reference") else ""
    return {
        **dict(zip(_SLIP_KEYS.split(), words, strict=True)),
        "account": [_grouped(payment["iban"]), payment["holder"], *_lines(document["company"]["address"])],
        "reference": [_grouped(reference)] if reference else [],
        "message": [payment["reference"]] if payment.get("reference") else [],
        "debtor": [address["name"], *_lines(address)] if address.get("name") else [],
        "currency": document["currency"],
        "amount": amount_words,
        "qr": _with_cross(qr_svg(payload)),
    }


def scor_reference(text: str) -> str:
    """An ISO 11649 creditor reference for a document number: 'D-2025-000123' → RF.. D2025000123; '' if too long."""
    body = re.sub(r"[^A-Z0-9]", "", text.upper())
    if not body or len(body) > 21:
        return ""
    digits = "".join(str(int(letter, 36)) for letter in f"{body}RF00")
    return f"RF{98 - int(digits) % 97:02d}{body}"


@lru_cache(maxsize=1024)
def qr_svg(payload: str) -> str:
    """The code as SVG, error correction M, without a border (the layout keeps the quiet zone).

    The mask is given: every reader takes any of the eight, and to find the best one takes as long as setting the whole
    letter. The sixth scores best on payments.
    """
    code = segno.make_qr(payload, error="m", boost_error=False, encoding="utf-8", eci=False, mask=6)
    lines = [
        f"M{run.start()} {y}.5h{run.end() - run.start()}"
        for y, row in enumerate(code.matrix)
        for run in re.finditer(b"\x01+", row)
    ]
    side = len(code.matrix)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}">'
        f'<path stroke="#000" d="{"".join(lines)}"/></svg>'
    )


def _with_cross(svg: str) -> str:
    """The Swiss cross of 7 of 46 mm in the middle, as the scheme demands."""
    match = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
    side = float(match[1]) if match else 46.0
    unit, middle = side / 46.0, side / 2.0
    boxes = [("#fff", 3.5, 3.5), ("#000", 3.05, 3.05), ("#fff", 0.62, 2.0), ("#fff", 2.0, 0.62)]
    cross = "".join(
        f'<rect x="{middle - w * unit:.4f}" y="{middle - h * unit:.4f}" width="{2 * w * unit:.4f}" '
        f'height="{2 * h * unit:.4f}" fill="{color}"/>'
        for color, w, h in boxes
    )
    return svg.replace("</svg>", f"{cross}</svg>")


def _party(name: str, address: Mapping[str, Any]) -> list[str]:
    street = _cut((address.get("street") or "").split("\n")[-1], 70)
    place = (_cut(address.get("postal_code") or "", 16), _cut(address.get("city") or "", 35))
    return ["S", _cut(name, 70), street, "", *place, (address.get("country") or "CH")[:2]]


def _lines(address: Mapping[str, Any]) -> Sequence[str]:
    street = (address.get("street") or "").split("\n")[-1]
    town = f"{address.get('postal_code') or ''} {address.get('city') or ''}".strip()
    return [line for line in (street, town) if line]


def _grouped(text: str) -> str:
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def _cut(text: str, length: int) -> str:
    return " ".join(text.split())[:length]
