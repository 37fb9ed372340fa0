"""Sentences that other rooms wrote (errors, findings, reasons) in the reader's language, with their money and dates.

`words/sentences.de.json` holds each English sentence with its blanks numbered as {0}, {1}; what fills a blank may be a
sentence again ("not sent: the file is not there").
"""

import json
import re
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from dunning_pipeline.console.remedies import for_clerk
from dunning_pipeline.console.wording import WORDS, Wording, is_word
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.money import minor_unit

# in one pass, so that what is written once is not read as another number: an amount with its currency, a day, a decimal
_FIGURES = re.compile(
    r"(?<![\w.,:€$£¥-])(?P<amount>-?\d+(?:\.\d+)?) (?P<currency>[A-Z]{3})\b"
    r"|(?<![\w-])(?P<day>\d{4}-\d\d-\d\d)(?![\w-])"
    r"|(?<![\w.,:€$£¥-])(?P<decimal>-?\d+\.\d{2,4})(?![\w.,%])"
)
_VALUE = re.compile(r" \(value: '?([^\n]*?)'?\)(?=\n|$)")
_CODE = re.compile(r"[a-z]+(_[a-z]+)+")
_BLANK = re.compile(r"\{\d\}")


@cache
def known_sentences(language: str) -> dict[str, str]:
    """English sentence → the one of this language; empty for English itself."""
    file = WORDS / f"sentences.{language}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Sentences with blanks, those with the most words of their own first."""
    known = [english for english in known_sentences(language) if _BLANK.search(english)]
    known.sort(key=lambda english: -len(_BLANK.sub("", english)))
    return [
        (re.compile("(.+?)".join(map(re.escape, _BLANK.split(english))), re.DOTALL), known_sentences(language)[english])
        for english in known
    ]


@lru_cache(maxsize=16_384)
def said(sentence: str, language: str) -> str:
    """`sentence` in `language`; one that is not known keeps its words, its amounts and dates are written as usual."""
    wording = Wording(language)
    # as errors print themselves: the value, and the remedy on a line of its own
    message, _, remedy = _VALUE.sub(_unless_said, sentence).partition("\n  → ")
    told = _told(_with_values(message, wording), wording)
    return f"{told} → {_told(for_clerk(remedy), wording)}" if remedy else told


def _unless_said(found: re.Match[str]) -> str:
    return "" if found[1] in found.string[: found.start()] else f" ({found[1]})"


def _told(sentence: str, wording: Wording) -> str:
    known = known_sentences(wording.language)
    if sentence in known:
        return known[sentence]
    if " · " in sentence:
        return " · ".join(_told(part, wording) for part in sentence.split(" · "))
    for pattern, ours in _patterns(wording.language):
        if found := pattern.fullmatch(sentence):
            return ours.format(*(_told(part, wording) for part in found.groups()))
    if "; " in sentence:
        return "; ".join(_told(part, wording) for part in sentence.split("; "))
    spoken = sentence.replace("_", " ") if _CODE.fullmatch(sentence) else sentence
    return wording.text(spoken) if is_word(spoken) else sentence  # a name that is no word of ours stays a name


def _with_values(text: str, wording: Wording) -> str:
    """Amounts with their currency, days and decimals as the language writes them."""

    def written(found: re.Match[str]) -> str:
        try:
            if found["day"]:
                return wording.day(date.fromisoformat(found["day"]))
            if found["decimal"]:
                return wording.decimal(Decimal(found["decimal"]))
            minor_unit(found["currency"])
            return wording.amount(Decimal(found["amount"]), found["currency"])
        except (ValueError, InvalidInput):  # no such day or currency: a text that only looks like one
            return found[0]

    return _FIGURES.sub(written, text)


def fact(value: Any, name: str, currency: str | None, wording: Wording) -> str:
    """One value of a decision's or an act's facts as a person reads it."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return wording.text("yes" if value else "no")
    if isinstance(value, list):
        between = "; " if any(isinstance(part, dict) for part in value) else ", "
        return between.join(fact(part, name, currency, wording) for part in value)
    if isinstance(value, dict):
        parts = [(part, told) for part, told in value.items() if told is not None]
        words = ((wording.text(part.replace("_", " ")), fact(told, part, currency, wording)) for part, told in parts)
        return ", ".join(f"{word} {told}" for word, told in words)
    if isinstance(value, int) and currency and name.endswith("_minor"):
        return wording.money(value, currency)
    if isinstance(value, str) and re.fullmatch(r"-?\d+\.\d+", value):
        if "percent" in name or name.endswith("rate"):
            return wording.exact(Decimal(value))
        if currency:
            return wording.amount(Decimal(value), currency)
    if isinstance(value, int | float | Decimal):
        return wording.number(value)
    return said(str(value), wording.language)
