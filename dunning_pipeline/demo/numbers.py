"""Identifiers of the demo's records: CRM ids with their check letters, tax numbers with valid check digits."""

from random import Random

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
PREFIXES = {
    "Account": "001", "Contact": "003", "Individual": "0PK", "AccountContactRelation": "07k",
    "AccountContactRole": "02Z",
    "Invoice": "3tt", "InvoiceLine": "5TV", "PaymentSchedule": "8Zs", "PaymentScheduleItem": "8Zi", "Payment": "0aQ",
    "PaymentLineInvoice": "1PL", "CreditMemo": "50g", "CreditMemoInvApplication": "4JU", "CollectionPlan": "0cP",
    "CollectionPlanItem": "0cI", "BillGroup": "a0B", "PaymentMethod": "0aT",
}  # fmt: skip


def record_id(entity: str, number: int) -> str:
    """The 18-character id of the n-th record of a Salesforce object, check letters included."""
    digits = ""
    rest = number
    while rest:
        rest, last = divmod(rest, 62)
        digits = _LETTERS[last] + digits
    short = f"{PREFIXES[entity]}WX00000{digits.rjust(5, '0')}"
    check = ""
    for start in (0, 5, 10):
        bits = sum(1 << place for place, letter in enumerate(short[start : start + 5]) if letter.isupper())
        check += _CHECK[bits]
    return short + check


def vat_number(country: str, random: Random) -> str:
    """A VAT number of the country whose check digits are right; empty for countries without one here."""
    from stdnum import luhn
    from stdnum.iso7064 import mod_11_10

    digits = "".join(str(random.randint(1, 9)) for _ in range(8))
    if country == "DE":
        return f"DE{digits}{mod_11_10.calc_check_digit(digits)}"
    if country == "GB":
        weighted = sum(int(digit) * weight for digit, weight in zip(digits[:7], range(8, 1, -1), strict=True))
        return f"GB{digits[:7]}{97 - weighted % 97:02d}"
    if country == "FR":
        siren = digits + luhn.calc_check_digit(digits)
        return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}"
    if country == "ES":
        body = digits[:7]
        return f"ESB{body}{luhn.calc_check_digit(body)}"
    return ""


def filled(pattern: str, number: int) -> str:
    """A phone pattern with its # replaced by the digits of `number`, from the right."""
    places = pattern.count("#")
    digits = iter(str(number % 10**places).rjust(places, "0"))
    return "".join(next(digits) if letter == "#" else letter for letter in pattern)
