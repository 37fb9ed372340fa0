"""Splits a letter's wording file into its parts: `== subject ==`, `== opening ==`, `== closing ==`."""

import re
from itertools import zip_longest
from pathlib import Path

from dunning_pipeline.errors import InvalidDeclaration

PARTS = ("subject", "opening", "closing")
BOLD, UNBOLD = "\ue000", "\ue001"  # private use: stand for ** once Jinja's values are no longer told from words
_BOLD_WORDS = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
_HEADING = re.compile(r"^==\s*([\w ]+?)\s*==[ \t]*$", re.MULTILINE)


def split_wording(file: Path, text: str) -> dict[str, str]:
    """Part → its text, blank lines between paragraphs kept. Raises InvalidDeclaration for a missing or unknown part."""
    headings = list(_HEADING.finditer(text))
    parts: dict[str, str] = {}
    for heading, following in zip_longest(headings, headings[1:]):
        name = heading[1].lower()
        line = text.count("\n", 0, heading.start()) + 1
        if name not in PARTS:
            raise InvalidDeclaration(
                f"unknown part {name!r}", file=file, line=line, remedy=f"known: {', '.join(PARTS)}"
            )
        parts[name] = mark_bold(text[heading.end() : following.start() if following else len(text)].strip())
    missing = [name for name in PARTS if name not in parts]
    if missing:
        raise InvalidDeclaration(f"the part `== {missing[0]} ==` is missing", file=file, line=1)
    return parts


def mark_bold(text: str) -> str:
    """`**words**` as marked words; Jinja has no use for ** here, so every pair is meant."""
    return _BOLD_WORDS.sub(rf"{BOLD}\1{UNBOLD}", text)
