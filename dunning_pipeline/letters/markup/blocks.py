"""Pairs {% if %}, {% for %} … with their ends before anything is compiled: a lost end is shown where it was begun."""

import re
from collections.abc import Callable

from dunning_pipeline.letters.markup.including import Assembled, Mistake
from dunning_pipeline.letters.markup.masking import Construct

_WORD = re.compile(r"\{%[-+]?\s*(\w+)")
_BLOCKS = ("if", "for", "macro", "call", "filter", "with", "autoescape", "block")
_BETWEEN = {"elif": ("if",), "else": ("if", "for")}


def unpaired(
    source: Assembled, constructs: list[Construct], parent: Callable[[int], object] = lambda offset: None
) -> list[Mistake]:
    """Blocks without an end, ends without a block, and blocks that end in another element than they began in.

    `parent` tells for an offset which elements are open there; a plain text has none.
    """
    mistakes: list[Mistake] = []
    open_blocks: list[tuple[str, Construct]] = []
    for construct in constructs:
        word = _word(construct)
        if word in _BLOCKS or (word == "set" and "=" not in construct.text):
            open_blocks.append((word, construct))
            continue
        if word not in _BETWEEN and not word.startswith("end"):
            continue
        place = source.place(construct.start)
        wanted = _BETWEEN.get(word, (word.removeprefix("end"),))
        if not open_blocks:
            return [*mistakes, Mistake(place, f"{construct.text} belongs to no block", "remove it")]
        opened, begin = open_blocks[-1]
        if opened not in wanted:
            break
        if parent(begin.start) != parent(construct.start):
            message = f"{construct.text} stands in another element than its {begin.text}"
            mistakes.append(Mistake(place, message, "begin and end it in the same element"))
        if word not in _BETWEEN:
            open_blocks.pop()
    if open_blocks:
        opened, begin = open_blocks[-1]
        place = source.place(begin.start)
        mistakes.append(Mistake(place, f"{begin.text} is never closed", f"close it with {{% end{opened} %}}"))
    return mistakes


def _word(construct: Construct) -> str:
    match = _WORD.match(construct.text) if construct.kind == "statement" else None
    return match[1] if match else ""
