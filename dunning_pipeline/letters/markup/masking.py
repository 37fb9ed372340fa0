"""Hides Jinja from the MJML compiler: each expression and statement becomes a token that survives it, then comes back.

Found by Jinja's own lexer, so strings holding }} or %} do no harm. Statements between elements become HTML comments,
which no HTML parser moves out of a table.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from jinja2 import Environment, TemplateSyntaxError

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.letters.markup.including import Assembled

_LEXER = Environment(autoescape=True).lexer
_ENDS = {"variable_begin": "variable_end", "block_begin": "block_end", "comment_begin": "comment_end"}
_TOKEN = re.compile(r"<!--jjz(\d+)zjj-->|jjz(\d+)zjj(?:=\"\")?")
_MARKUP = re.compile(r"<!--.*?-->|<(/?)([a-zA-Z][\w:.-]*)((?:\"[^\"]*\"|'[^']*'|[^'\">])*)>", re.DOTALL)
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|\w+);")
_PLAIN_ELEMENTS = ("mj-style", "mj-title", "mj-preview", "style", "title")
_HINTS = {"“”„‘’‚": "write straight quotes: \" or '", "&": "write `and`", "!": "write `not`"}  # by the letter met
LABEL_FIELD = re.compile(r"\{\{-?\s*label\.(\w+)\s*-?\}\}")


@dataclass(frozen=True)
class Construct:
    """One {{ }}, {% %}, {# #} or attribute entity of the source."""

    kind: str  # expression | statement | comment | entity
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass
class Masked:
    """The source with tokens, and what each token stands for."""

    text: str
    constructs: list[Construct] = field(default_factory=list)

    def restore(self, compiled: str, labels: Mapping[str, str]) -> str:
        """`compiled` with the constructs back; `{{ label.x }}` becomes the label itself, HTML-escaped."""

        def original(match: re.Match[str]) -> str:
            construct = self.constructs[int(match[1] or match[2])]
            label = LABEL_FIELD.fullmatch(construct.text)
            if label:
                return html.escape(labels[label[1]])
            return construct.text if construct.kind != "comment" else ""

        return _TOKEN.sub(original, compiled)

    def order(self, compiled: str) -> list[int]:
        """Numbers of the constructs as they stand in the compiled text."""
        return [int(match[1] or match[2]) for match in _TOKEN.finditer(compiled)]


def find_constructs(source: Assembled) -> list[Construct]:
    """All Jinja constructs with their offsets. Raises InvalidDeclaration with the place of a syntax error."""
    found: list[Construct] = []
    parts: list[str] = []
    position, end = 0, ""
    try:
        for _, token, value in _LEXER.tokeniter(source.text, None):
            if not parts and token in _ENDS:
                parts, end, kind = [value], _ENDS[token], token
            elif parts:
                parts.append(value)
                if token == end:
                    text = "".join(parts)
                    start = source.text.index(text, position)
                    position = start + len(text)
                    found.append(Construct(_kind(kind), text.rstrip() if kind != "raw" else text, start))
                    parts = []
    except TemplateSyntaxError as error:
        raise _unreadable(error, source, source.text.index(parts[0], position) if parts else None) from None
    if parts:
        place = source.place(source.text.index(parts[0], position))
        raise InvalidDeclaration(
            f"unexpected end: this {parts[0].strip()} is never closed",
            file=place.file,
            line=place.line,
            column=place.column,
        )
    return found


def _unreadable(error: TemplateSyntaxError, source: Assembled, begin: int | None) -> InvalidDeclaration:
    """The mistake where the construct begins in which it was met: a lost end is noticed many lines below."""
    lines = source.text.split("\n")
    met = sum(len(line) + 1 for line in lines[: error.lineno - 1])
    place = source.place(min(met, len(source.text) - 1) if begin is None else begin)
    written = None if begin is None else source.text[begin : begin + 60].split("\n")[0]
    message = re.sub(r" at \d+$", "", error.message or "Jinja syntax")
    remedy = next((hint for letters, hint in _HINTS.items() if any(f"'{one}'" in message for one in letters)), None)
    if remedy is None and written is not None:
        remedy = f"close it with {'%}' if written.startswith('{%') else '}}'}"
    return InvalidDeclaration(
        message, file=place.file, line=place.line, column=place.column if written else None, value=written,
        remedy=remedy,
    )  # fmt: skip


def filled(source: Assembled, constructs: list[Construct]) -> str:
    """The source with each construct replaced by as many letters or blanks: every offset stays true."""
    parts, position = [], 0
    for construct in constructs:
        parts.append(source.text[position : construct.start])
        filler = "j" if construct.kind == "expression" else " "
        parts.append("".join("\n" if letter == "\n" else filler for letter in construct.text))
        position = construct.end
    parts.append(source.text[position:])
    return "".join(parts)


def mask(source: Assembled) -> Masked:
    """The source as the compiler may see it. Raises InvalidDeclaration for Jinja that cannot be read."""
    jinja = find_constructs(source)
    shadow = filled(source, jinja)
    inside = _inside_markup(shadow)
    entities = [
        Construct("entity", match[0], match.start())
        for start, end, name in inside
        if name == "tag"
        for match in _ENTITY.finditer(shadow, start, end)
    ]
    constructs = sorted([*jinja, *entities], key=lambda construct: construct.start)
    parts, position = [], 0
    for index, construct in enumerate(constructs):
        parts.append(source.text[position : construct.start])
        in_text = not any(start <= construct.start < end for start, end, _ in inside)
        token = f"jjz{index}zjj"
        as_comment = in_text and construct.kind in ("statement", "comment")
        parts.append(f"<!--{token}-->" if as_comment else token)
        position = construct.end
    parts.append(source.text[position:])
    return Masked("".join(parts), constructs)


def _kind(token: str) -> str:
    return {"variable_begin": "expression", "block_begin": "statement", "comment_begin": "comment"}[token]


def _inside_markup(shadow: str) -> list[tuple[int, int, str]]:
    """Ranges where a statement cannot become a comment: tags, comments, and elements whose text is not markup."""
    ranges: list[tuple[int, int, str]] = []
    opened: dict[str, int] = {}
    for match in _MARKUP.finditer(shadow):
        name = (match[2] or "").lower()
        ranges.append((match.start(), match.end(), "comment" if not name else "tag"))
        if name in _PLAIN_ELEMENTS:
            if match[1] and name in opened:
                ranges.append((opened.pop(name), match.start(), "plain"))
            elif not match[1]:
                opened[name] = match.end()
    return ranges
