"""SMS: letters of the GSM 7-bit alphabet where possible, and how many segments a text costs."""

import unicodedata
from dataclasses import dataclass

_BASIC = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = set("^{}\\[~]|€\f")
# what Babel and typing programs put into texts, and what a phone shows just as well
_PLAIN = str.maketrans(
    {
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2007": " ", "\u200b": "", "\ufeff": "",
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
        "\u00ab": '"', "\u00bb": '"', "\u2013": "-", "\u2014": "-", "\u2212": "-", "\u2026": "...", "\u2022": "*",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Segments:
    """What a text costs: alphabet GSM-7 or UCS-2, units used, segments sent."""

    alphabet: str
    units: int
    segments: int


def normalised(text: str) -> str:
    """The text with typographic blanks, quotes and dashes made plain, and accents dropped only where that alone
    brings the whole text into the GSM alphabet (á → a, ê → e); other scripts stay as they are.
    """
    plain = unicodedata.normalize("NFC", text).translate(_PLAIN)  # ä may come as a and two dots
    if _is_gsm(plain):
        return plain
    folded = "".join(letter if letter in _BASIC or letter in _EXTENDED else _without_accent(letter) for letter in plain)
    return folded if _is_gsm(folded) else plain


def count_segments(text: str) -> Segments:
    """GSM-7: 160 units, 153 each when several; UCS-2: 70 and 67. Pairs (escapes, surrogates) are never split."""
    if _is_gsm(text):
        widths = [2 if letter in _EXTENDED else 1 for letter in text]
        return Segments("GSM-7", sum(widths), _packed(widths, 160, 153))
    widths = [2 if ord(letter) > 0xFFFF else 1 for letter in text]
    return Segments("UCS-2", sum(widths), _packed(widths, 70, 67))


def _packed(widths: list[int], single: int, part: int) -> int:
    if sum(widths) <= single:
        return 1
    segments, used = 1, 0
    for width in widths:
        if used + width > part:
            segments, used = segments + 1, 0
        used += width
    return segments


def _is_gsm(text: str) -> bool:
    return all(letter in _BASIC or letter in _EXTENDED for letter in text)


def _without_accent(letter: str) -> str:
    special = {"ł": "l", "Ł": "L", "đ": "d", "ð": "d", "œ": "oe", "Œ": "OE", "ı": "i"}
    return special.get(letter) or unicodedata.normalize("NFD", letter)[0]
