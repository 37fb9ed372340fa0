"""Amounts, dates and numbers in the reader's locale: Babel behind caches, because it is asked millions of times."""

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.letters.catalogue import language_tag
from dunning_pipeline.money import minor_unit

CACHE = 200_000
_STYLES = ("short", "medium", "long", "full")
_PATTERN = re.compile("(?:'[^']*'|[GyYQqMLwWdDFEec]|[^A-Za-z'])+")  # CLDR's letters of a day; words stand in quotes


@lru_cache(maxsize=4096)
def choose_locale(language: str, country: str | None) -> str:
    """The CLDR locale for a language tag (de, de-AT, pt_BR) and the reader's country (ISO alpha-2).

    A region in the tag wins; else the country's own variant where the language is official there; else the language
    alone, and British English for English, because a reader outside the US misreads 03/04.
    """
    from babel.languages import get_official_languages

    tag = language_tag(language).replace("-", "_")
    base = tag.split("_")[0].lower()
    candidates = [tag] if "_" in tag else []
    territory = (country or "").upper()
    if territory and base in get_official_languages(territory, regional=True, de_facto=True):
        candidates.append(f"{base}_{territory}")
    candidates += ["en_GB"] if base == "en" else [base]
    for candidate in candidates:
        try:
            return str(Locale.parse(candidate))
        except (UnknownLocaleError, ValueError):
            continue
    return "en_GB"


@lru_cache(maxsize=256)
def _locale(name: str) -> Locale:
    return Locale.parse(name)


@lru_cache(maxsize=CACHE)
def money_text(amount: str, currency: str, locale: str) -> str:
    """'6522.96', 'EUR', 'de_DE' → '6.522,96 €'. Raises InvalidInput for what is no decimal number or no currency."""
    minor_unit(currency)
    return _signed(format_currency(_decimal(amount), currency, locale=_locale(locale)), locale)


@lru_cache(maxsize=CACHE)
def plain_money_text(amount: str, currency: str, locale: str) -> str:
    """The same without the currency's sign, for table columns that name the currency once: '6.522,96'."""
    digits = minor_unit(currency)
    pattern = "#,##0." + "0" * digits if digits else "#,##0"
    return _signed(format_decimal(_decimal(amount), pattern, locale=_locale(locale)), locale)


@lru_cache(maxsize=CACHE)
def date_text(value: str, style: str, locale: str) -> str:
    """'2025-11-03', 'long', 'de_DE' → '3. November 2025'; styles short, medium, long, full, or a CLDR pattern."""
    try:
        day = date.fromisoformat(value[:10])
    except ValueError:
        raise InvalidInput("not an ISO date", value=value, remedy="|date takes fields that hold dates") from None
    if style not in _STYLES and not _PATTERN.fullmatch(style):
        raise InvalidInput("not a style of dates", value=style, remedy=f"write one of {', '.join(_STYLES)}, or d MMM y")
    return format_date(day, style, locale=_locale(locale))


@lru_cache(maxsize=CACHE)
def number_text(value: str, locale: str) -> str:
    """A number with the locale's separators, decimals as given: '8.12' → '8,12', '8.1200' → '8,1200'."""
    number = _decimal(value)
    digits = max(0, -int(number.as_tuple().exponent))
    return format_decimal(number, "#,##0." + "0" * digits if digits else "#,##0", locale=_locale(locale))


def plural_form(number: int, locale: str) -> str:
    """CLDR's form of a counted noun: 'one', 'few', 'many' … ('pl_PL': 1 one, 3 few, 5 many)."""
    return str(_locale(locale).plural_form(number))


@lru_cache(maxsize=4096)
def iban_text(value: str) -> str:
    """In groups of four, as it is read aloud."""
    return " ".join(value[start : start + 4] for start in range(0, len(value), 4))


def _signed(text: str, locale: str) -> str:
    """Where one reads from the right, a mark (U+200E) keeps the minus before its number."""
    return text.replace("-", "\u200e-") if "-" in text and _locale(locale).text_direction == "rtl" else text


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise InvalidInput("not an amount", value=text, remedy="|money takes fields that hold amounts") from None
