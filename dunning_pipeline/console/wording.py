"""The console's languages: its own words from words/<language>.json, money, dates and numbers by locale."""

import json
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.numbers import NumberFormatError, format_currency, format_decimal, parse_decimal
from markupsafe import Markup

from dunning_pipeline.money import from_minor

WORDS = Path(__file__).parent / "words"
LANGUAGES = ("en", "de")
DAYS = {"en": "d MMM y", "de": "dd.MM.y"}  # the month in words: 3/11 is another day in the US


@cache
def _words(language: str) -> dict[str, str]:
    file = WORDS / f"{language}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def is_word(english: str) -> bool:
    """Whether it is a word of the product: every one has its German."""
    return english in _words("de")


@lru_cache(maxsize=65_536)
def _money(amount: Decimal, currency: str, language: str) -> str:
    return format_currency(amount, currency, locale=language)


@lru_cache(maxsize=16_384)
def _day(value: date, language: str) -> str:
    return format_date(value, DAYS[language], locale=language)


@lru_cache(maxsize=16_384)
def _minute(value: datetime, zone: ZoneInfo, language: str) -> str:
    return format_datetime(value.astimezone(zone), f"{DAYS[language]} HH:mm", locale=language)


@lru_cache(maxsize=16_384)
def _number(value: int | float | Decimal, language: str) -> str:
    return format_decimal(value, locale=language)


@lru_cache(maxsize=1_024)
def _badge(status: str, language: str) -> Markup:
    word = _words(language).get(spoken := status.replace("_", " "), spoken)
    return Markup('<span class="badge {}">{}</span>').format(status.replace("_", "-"), word)


class Wording:
    """Texts and formats of one language; English is the source, a missing word falls back to it."""

    def __init__(self, language: str) -> None:
        short = language.split("-")[0].split("_")[0].lower()
        self.language = short if short in LANGUAGES else "en"

    def text(self, english: str, **values: Any) -> str:
        chosen = _words(self.language).get(english, english)
        return chosen.format(**values) if values else chosen

    def money(self, amount_minor: int | None, currency: str | None) -> str:
        """Minor units as money of the locale; empty for None."""
        if amount_minor is None or not currency:
            return ""
        return _money(from_minor(amount_minor, currency), currency, self.language)

    def amount(self, value: Decimal | None, currency: str | None) -> str:
        """Major units (DECIMAL of the warehouse) as money of the locale; empty for None."""
        return "" if value is None or not currency else _money(value, currency, self.language)

    def read_amount(self, text: str) -> Decimal:
        """An amount as people of this language write it, or with a point and no groups: 1.234,56 or 1234.56.

        Raises ValueError or decimal.InvalidOperation for what is neither.
        """
        try:
            return parse_decimal(text, locale=self.language, strict=True)
        except NumberFormatError:
            return Decimal(text)

    def day(self, value: date | str | None) -> str:
        if not value:
            return ""
        return _day(date.fromisoformat(value[:10]) if isinstance(value, str) else value, self.language)

    def month(self, value: date) -> str:
        return format_date(value, "LLLL y", locale=self.language)

    def moment(self, value: datetime | str | None, *, zone: ZoneInfo) -> str:
        """An instant (ISO text too) in the company's time; empty for None."""
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        return "" if value is None else _minute(value.replace(second=0, microsecond=0), zone, self.language)

    def number(self, value: int | float | Decimal | None) -> str:
        return "" if value is None else _number(value, self.language)

    def decimal(self, value: Decimal) -> str:
        """A number with at least two decimals, such as an amount whose currency is not told."""
        return format_decimal(value, format="#,##0.00##", locale=self.language)

    def exact(self, value: Decimal) -> str:
        """A rate with all its decimals."""
        return format_decimal(value.normalize(), locale=self.language, decimal_quantization=False)

    def listed(self, names: Iterable[str]) -> str:
        """Words of the product, such as channels, one after the other."""
        return ", ".join(self.text(name.replace("_", " ")) for name in names)

    def act(self, name: str) -> str:
        """What the audit calls an act, such as `statement.close`."""
        spoken = name.replace("_", " ")
        return _words(self.language).get(spoken, spoken.replace(".", ": "))

    def badge(self, status: str) -> Markup:
        """A status as a coloured word."""
        return _badge(status, self.language)
