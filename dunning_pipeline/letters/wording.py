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
    """Part → its text, blank lines between paragraphs kept. Raises InvalidDeclaration for a missing, unknown or doubled
    part and for text that stands in none.
    """
    headings = list(_HEADING.finditer(text))
    parts: dict[str, str] = {}
    before = text[: headings[0].start() if headings else 0]
    if before.strip():
        line = before[: len(before) - len(before.lstrip())].count("\n") + 1
        raise InvalidDeclaration("text before the first part is lost", file=file, line=line,
                                 remedy="write it below `== opening ==`")  # fmt: skip
    for heading, following in zip_longest(headings, headings[1:]):
        name = heading[1].lower()
        line = text.count("\n", 0, heading.start()) + 1
        if name not in PARTS:
            raise InvalidDeclaration(
                f"unknown part {name!r}", file=file, line=line, remedy=f"known: {', '.join(PARTS)}"
            )
        if name in parts:
            raise InvalidDeclaration(f"a second part `== {name} ==`", file=file, line=line, remedy="join the two")
        parts[name] = mark_bold(text[heading.end() : following.start() if following else len(text)].strip())
    missing = [name for name in PARTS if name not in parts]
    if missing:
        raise InvalidDeclaration(f"the part `== {missing[0]} ==` is missing", file=file, line=1,
                                 remedy="a letter has `== subject ==`, `== opening ==`, `== closing ==`")  # fmt: skip
    return parts


def mark_bold(text: str) -> str:
    """`**words**` as marked words; Jinja has no use for ** here, so every pair is meant."""
    return _BOLD_WORDS.sub(rf"{BOLD}\1{UNBOLD}", text)
