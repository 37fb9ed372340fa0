"""Phone numbers as E.164, read with the country of their record."""

import re

import phonenumbers

from dunning_pipeline.identity.values.places import country_code
from dunning_pipeline.identity.values.words import cleaned

_DIGITS = re.compile(r"\D+")
_FILLER = re.compile(r"\d*(\d)\1{5,}\d*|0*1?0?123456789?0*|0*9876543210?")


def normalised_phone(raw: str, country: str) -> tuple[str | None, str | None, str | None]:
    """(number, type, problem): E.164 and `mobile`, `fixed` or `either`; the problem: empty, null_like, invalid.

    A number that is possible in its country but of no assigned range is kept; what cannot be a number of that country
    is invalid. Extensions are cut off. Without a country the number must be international, or it stays `nat:` + digits.
    """
    text = cleaned(raw)
    if not text:
        return None, None, "null_like" if raw.strip() else "empty"
    digits = _DIGITS.sub("", text)
    if len(digits) < 6 or _FILLER.fullmatch(digits) or set(digits) <= {"0"}:
        return None, None, "null_like"
    region = country_code(country) or None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return _without_country(text, digits)
    if not phonenumbers.is_possible_number(number):
        return None, None, "invalid"
    kind = "either" if number.country_code in _TYPE_UNKNOWN else _TYPES.get(phonenumbers.number_type(number), "either")
    return f"+{number.country_code}{phonenumbers.national_significant_number(number)}", kind, None


_TYPE_UNKNOWN = (1,)  # North American numbers do not tell mobile from fixed
_TYPES = {phonenumbers.PhoneNumberType.MOBILE: "mobile", phonenumbers.PhoneNumberType.FIXED_LINE: "fixed"}


def _without_country(text: str, digits: str) -> tuple[str | None, str | None, str | None]:
    # `1 (650) 277-9500` without a country: a North American number when the digits say so, else compared as written
    if len(digits) == 11 and digits[0] == "1":
        return f"+{digits}", "either", None
    if digits.startswith("00") and len(digits) > 9:
        return f"+{digits[2:]}", "either", None
    if 7 <= len(digits) <= 15 and not text.startswith("+"):
        return f"nat:{digits}", "either", None
    return None, None, "invalid"
