"""QR codes on letters: EPC069-12 for euro transfers, and the Swiss QR bill's payment part."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any
from unicodedata import normalize

import segno

# Participants of the SEPA scheme by country of the IBAN (EPC409-09); outside of it no banking app reads the code.
# Those beside the European Economic Area need the bank's BIC.
_EEA_CODES = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
_EEA = frozenset(_EEA_CODES.split())
_BESIDE_EEA_CODES = "AD AL CH GB GI MC MD ME MK RS SM VA"
_SEPA = _EEA | frozenset(_BESIDE_EEA_CODES.split())
_MOST = Decimal("999999999.99")  # of both codes
# What the Swiss scheme knows: Basic Latin, Latin-1 supplement, Latin Extended-A, and five more.
_NOT_SWISS = re.compile("[^\x20-\x7e\xa0-\u017f\u0218-\u021b\u20ac]")
_CHECK_DIGITS = (0, 9, 4, 6, 8, 2, 7, 1, 3, 5)  # modulo 10, recursive
_QR_LANGUAGES = ("de", "fr", "it", "en")
_SLIP_WORDS = {
    "de": "Empfangsschein|Zahlteil|Konto / Zahlbar an|Referenz|Zusätzliche Informationen|Zahlbar durch|Währung|Betrag|"
    "Annahmestelle|Zahlbar durch (Name/Adresse)|Vor der Einzahlung abzutrennen",
    "fr": "Récépissé|Section paiement|Compte / Payable à|Référence|Informations supplémentaires|Payable par|Monnaie|"
    "Montant|Point de dépôt|Payable par (nom/adresse)|A détacher avant le versement",
    "it": "Ricevuta|Sezione pagamento|Conto / Pagabile a|Riferimento|Informazioni supplementari|Pagabile da|Valuta|"
    "Importo|Punto di accettazione|Pagabile da (nome/indirizzo)|Da staccare prima del versamento",
    "en": "Receipt|Payment part|Account / Payable to|Reference|Additional information|Payable by|Currency|Amount|"
    "Acceptance point|Payable by (name/address)|Separate before paying in",
}
_SLIP_KEYS = (
    "receipt title account_label reference_label message_label debtor_label currency_label amount_label acceptance "
    "blank_label separate"
)


def epc_payload(payment: Mapping[str, Any], amount: str, currency: str) -> str | None:
    """The EPC069-12 text (version 002, BCD … SCT), or None where it does not apply: no IBAN in SEPA (with a BIC where
    its country needs one), not in euro, or an amount outside of 0.01 to 999,999,999.99.
    """
    iban = payment.get("iban") or ""
    value = Decimal(amount)
    known = iban[:2] in _EEA or (iban[:2] in _SEPA and payment.get("bic"))
    if currency != "EUR" or not known or not Decimal("0.01") <= value <= _MOST:
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
    the currency is neither CHF nor EUR, or a QR-IBAN has no reference to go with it.
    """
    payment, company, currency = document["payment"], document["company"], document["currency"]
    iban, amount = payment.get("iban") or "", Decimal(document["totals"]["please_pay"])
    kind, reference = swiss_reference(iban, payment.get("reference") or "")
    is_swiss = iban[:2] in ("CH", "LI") and currency in ("CHF", "EUR")
    if not is_swiss or not Decimal("0.01") <= amount <= _MOST or (_is_qr_iban(iban) and not reference):
        return None
    creditor = _party(payment["holder"], company["address"])
    debtor = _debtor(document["address"]) or [""] * 7
    lines = ["SPC", "0200", "1", iban, *creditor, *[""] * 7, f"{amount:f}", currency, *debtor, kind, reference]
    return "\n".join([*lines, _latin(payment.get("reference") or "", 140), "EPD"])


def swiss_slip(document: Mapping[str, Any], amount_words: str) -> dict[str, Any] | None:
    """Words and code of the payment part, in German, French, Italian or English as the scheme allows."""
    payload = swiss_payload(document)
    if payload is None:
        return None
    language = document["language"][:2]
    words = _SLIP_WORDS[language if language in _QR_LANGUAGES else "en"].split("|")
    payment = document["payment"]
    kind, reference = swiss_reference(payment["iban"], payment.get("reference") or "")
    return {
        **dict(zip(_SLIP_KEYS.split(), words, strict=True)),
        "account": [_grouped(payment["iban"]), *_lines(_party(payment["holder"], document["company"]["address"]))],
        "reference": [f"{reference[:2]} {_grouped(reference[2:], 5)}" if kind == "QRR" else _grouped(reference)]
        if reference
        else [],
        "message": [payment["reference"]] if payment.get("reference") else [],
        "debtor": _lines(_debtor(document["address"])),
        "currency": document["currency"],
        "amount": amount_words,
        "qr": _with_cross(qr_svg(payload)),
    }


def swiss_reference(iban: str, text: str) -> tuple[str, str]:
    """(type, reference) that a document number has on a Swiss bill: a QR-IBAN takes QR references and nothing else."""
    if text and _is_qr_iban(iban):
        return "QRR", qr_reference(text)
    structured = scor_reference(text)
    return ("SCOR", structured) if structured else ("NON", "")


def _is_qr_iban(iban: str) -> bool:
    return iban[:2] in ("CH", "LI") and "30000" <= iban[4:9] <= "31999"


def qr_reference(text: str) -> str:
    """The 27 digits for a document number, letters as 10 to 35; the last one checks the others."""
    digits = "".join(str(int(letter, 36)) for letter in re.sub(r"[^A-Z0-9]", "", text.upper()))[-26:].zfill(26)
    carry = 0
    for digit in digits:
        carry = _CHECK_DIGITS[(carry + int(digit)) % 10]
    return f"{digits}{(10 - carry) % 10}"


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
    street = _latin((address.get("street") or "").split("\n")[-1], 70)
    place = (_latin(address.get("postal_code") or "", 16), _latin(address.get("city") or "", 35))
    return ["S", _latin(name, 70), street, "", *place, address.get("country") or "CH"]


def _debtor(address: Mapping[str, Any]) -> list[str]:
    """The debtor's seven lines of the code; none where a name, a town or a country's code is missing."""
    party = _party(address.get("name") or "", address)
    return party if party[1] and party[5] and re.fullmatch("[A-Z]{2}", party[6]) else []


def _lines(party: Sequence[str]) -> list[str]:
    """The same in print: what stands in the code and on paper must not differ."""
    if not party:
        return []
    _, name, street, _, post, city, country = party
    abroad = f"{country}-" if country not in ("CH", "LI") and post else ""
    return [line for line in (name, street, f"{abroad}{post} {city}".strip()) if line]


def _grouped(text: str, by: int = 4) -> str:
    return " ".join(text[start : start + by] for start in range(0, len(text), by))


def _latin(text: str, length: int) -> str:
    """Text in the letters of the Swiss scheme; others are left out."""
    return _cut(_NOT_SWISS.sub("", normalize("NFC", " ".join(text.split()))), length)


def _cut(text: str, length: int) -> str:
    return " ".join(text.split())[:length]
