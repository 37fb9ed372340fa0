"""The normal form of e-mail addresses and phone numbers, as consents, suppressions and events name them."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from dunning_pipeline.errors import InvalidInput

# what nearly every address looks like; anything else goes the long way
_PLAIN = re.compile(
    r"[a-z0-9_%+-]+(\.[a-z0-9_%+-]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}", re.IGNORECASE
)


def normal_email(text: str) -> str:
    """The address in lower case, without display name, brackets or quotes around the local part.

    Dots and plus parts stay: they are other mailboxes for most providers, and consent is given by mailbox.
    Raises InvalidInput for what is no address.
    """
    return _forms(text)[0]


def wire_email(text: str) -> str:
    """The address as it goes over the wire: international domains in ASCII. Raises InvalidInput."""
    return _forms(text)[1]


def is_postal(address: Mapping[str, Any] | None) -> bool:
    """Whether a letter can be brought there, as the macro of that name says: a street, or a postal code and a city."""
    told = address or {}
    return bool(told.get("street") or (told.get("postal_code") and told.get("city")))


@lru_cache(maxsize=65536)
def _forms(text: str) -> tuple[str, str]:
    if _PLAIN.fullmatch(text) and len(text) <= 254:
        return text.lower(), text.lower()
    from email_validator import EmailNotValidError, validate_email

    plain = text.strip()
    if any(character in plain for character in "\r\n\0"):
        raise InvalidInput("a line break inside an e-mail address", value=text)
    if plain.endswith(">") and "<" in plain:
        plain = plain[plain.rindex("<") + 1 : -1].strip()
    if plain.startswith('"') and '"@' in plain:
        plain = plain[1:].replace('"@', "@", 1)
    try:
        checked = validate_email(plain, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise InvalidInput(f"not an e-mail address: {error}", value=text) from None
    if checked.ascii_email is None:
        raise InvalidInput("the part before @ is not ASCII; mail servers do not take it", value=text)
    return checked.normalized.lower(), checked.ascii_email.lower()


@lru_cache(maxsize=65536)
def normal_phone(text: str, country: str | None = None) -> str:
    """The number in E.164; `country` (ISO alpha-2) reads national ones. Raises InvalidInput."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as error:
        is_national = error.error_type == error.INVALID_COUNTRY_CODE
        message = "a phone number without a known country code" if is_national else "not a phone number"
        raise InvalidInput(message, value=text) from None
    if not phonenumbers.is_possible_number(number):
        raise InvalidInput("not a possible phone number", value=text)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def normal(text: str, channel: str, country: str | None = None) -> str:
    """The normal form for a channel (email, sms); raises InvalidInput for what is none and for other channels."""
    if channel == "email":
        return normal_email(text)
    if channel == "sms":
        return normal_phone(text, country)
    raise InvalidInput(f"a contact point is reached by email or sms, not by {channel}", value=text)


def wire_phones(numbers: Iterable[str], *countries: str | None) -> list[str]:
    """The numbers in E.164, national ones read in the first of `countries` that is an ISO alpha-2 code.

    What is no number stays as it is written: the gate holds it and says why.
    """
    country = next((code.upper() for code in countries if code and len(code) == 2), None)
    found = []
    for number in numbers:
        try:
            found.append(normal_phone(number, country))
        except InvalidInput:
            found.append(number)
    return list(dict.fromkeys(found))


def points_of(emails: Iterable[str], number: str | None, *countries: str | None) -> set[str]:
    """The normal forms of an account's addresses and number; what is no address reaches nobody."""
    found = set(wire_phones([number] if number else [], *countries))
    for address in emails:
        with suppress(InvalidInput):
            found.add(normal_email(address))
    return found
