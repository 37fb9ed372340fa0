"""Reads a template as MJML before the compiler does and names each mistake with its file, line and column."""

import re
from bisect import bisect_right
from difflib import get_close_matches
from html.parser import HTMLParser

from dunning_pipeline.letters.markup.blocks import unpaired
from dunning_pipeline.letters.markup.including import Assembled, Mistake
from dunning_pipeline.letters.markup.masking import Construct, filled
from dunning_pipeline.letters.markup.rules import BUILT_IN_FONTS, CHILDREN, ENDING, attributes, elements

_COLOR = re.compile(r"^(#[0-9a-fA-F]{3,8}|rgba?\(.+\)|hsla?\(.+\)|[a-zA-Z]+)$")
_UNIT = re.compile(r"^-?\d*\.?\d+(px|%|em|rem)?$")


def lint(source: Assembled, constructs: list[Construct]) -> list[Mistake]:
    """Nesting, unknown elements and attributes, wrong values, merge fields where the compiler needs a number."""
    shadow = filled(source, constructs)
    reader = _Reader(source, shadow, constructs)
    reader.feed(shadow)
    reader.close()
    reader.finish()
    return reader.mistakes or unpaired(source, constructs, reader.open_at)


class _Reader(HTMLParser):
    def __init__(self, source: Assembled, shadow: str, constructs: list[Construct]) -> None:
        super().__init__(convert_charrefs=False)
        self.source, self.constructs = source, constructs
        self.line_starts = [0, *(match.end() for match in re.finditer("\n", shadow))]
        self.stack: list[tuple[str, int]] = []
        # from an offset on: where the open elements (mj-raw aside) began
        self.changes: list[tuple[int, tuple[int, ...]]] = [(0, ())]
        self.mistakes: list[Mistake] = []
        self.seen: set[str] = set()

    @property
    def at(self) -> int:
        line, column = self.getpos()
        return self.line_starts[line - 1] + column

    def open_at(self, offset: int) -> tuple[int, ...]:
        """Which elements are open at an offset, each by where it began."""
        return self.changes[bisect_right(self.changes, offset, key=lambda change: change[0]) - 1][1]

    def _changed(self) -> None:
        self.changes.append((self.at, tuple(offset for tag, offset in self.stack if tag != "mj-raw")))

    def report(self, message: str, remedy: str = "", offset: int | None = None) -> None:
        place = self.source.place(self.at if offset is None else offset)
        self.mistakes.append(Mistake(place, message, remedy))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._open(tag, attrs):
            self.stack.append((tag, self.at))
            self._changed()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not _is_mjml(tag):
            return
        if self.stack and self.stack[-1][0] == tag:
            self.stack.pop()
            self._changed()
        elif any(name == tag for name, _ in self.stack):
            name, offset = self.stack.pop()
            self.report(f"<{name}> is not closed before </{tag}>", f"close it with </{name}>", offset)
            self.handle_endtag(tag)
        else:
            self.report(f"</{tag}> closes nothing", "remove it, or open the element")

    def handle_data(self, data: str) -> None:
        parent = self.stack[-1][0] if self.stack else ""
        if data.strip() and parent not in ENDING:
            where = f"directly in <{parent}>" if parent else "outside of <mjml>"
            at = self.at + len(data) - len(data.lstrip())
            self.report(f"text {where} is lost", "put it into <mj-text>", at)

    def finish(self) -> None:
        for name, offset in self.stack:
            self.report(f"<{name}> is never closed", f"close it with </{name}>", offset)
        if "mjml" not in self.seen:
            self.report("there is no <mjml> element", 'begin with <mjml lang="en">', 0)
        elif "mj-body" not in self.seen:
            self.report("there is no <mj-body>", "add it below <mj-head>", 0)

    def _open(self, tag: str, attrs: list[tuple[str, str | None]]) -> bool:
        parent = self.stack[-1][0] if self.stack else ""
        if not _is_mjml(tag):
            if parent not in ENDING and parent != "mj-attributes":
                self.report(f"<{tag}> cannot stand in <{parent or 'the file'}>", "put HTML into <mj-raw> or <mj-text>")
            return False
        self.seen.add(tag)
        if parent == "mj-attributes":
            return True
        if attributes(tag) is None:
            near = get_close_matches(tag, elements(), 1)
            self.report(f"unknown element <{tag}>", f"did you mean <{near[0]}>?" if near else "see the MJML reference")
            return True
        self._check_place(tag, parent)
        self._check_attributes(tag, attrs)
        return True

    def _check_place(self, tag: str, parent: str) -> None:
        if parent in ENDING:
            self.report(f"<{tag}> cannot stand inside <{parent}>", f"close <{parent}> before it")
        elif parent in CHILDREN and tag not in CHILDREN[parent]:
            homes = sorted(name for name, children in CHILDREN.items() if tag in children and name)
            self.report(f"<{tag}> cannot stand in <{parent or 'the file'}>", f"it belongs into {', '.join(homes)}")

    def _check_attributes(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = attributes(tag) or {}
        text = self.get_starttag_text() or ""
        span = range(self.at, self.at + len(text))
        if any(c.kind == "statement" and c.start in span and not _quoted(text, c.start - self.at)
               for c in self.constructs):  # fmt: skip
            self.report(f"a {{% %}} between the attributes of <{tag}> is lost", "repeat the element inside {% if %}")
        for name, value in attrs:
            at = self.at + max(text.lower().find(name.lower()), 0)
            if any(c.kind == "expression" and c.start == at for c in self.constructs):
                self.report(
                    f"a merge field between the attributes of <{tag}> is lost", "write it inside the quotes", at
                )
            elif name not in known:
                near = get_close_matches(name, known, 1)
                self.report(
                    f"<{tag}> has no attribute {name!r}", f"did you mean {near[0]!r}?" if near else "remove it", at
                )
            else:
                self._check_value(tag, name, value or "", known[name], at)
        self._check_special(tag, dict(attrs))

    def _check_value(self, tag: str, name: str, value: str, kind: str, at: int) -> None:
        holds_field = any(c.kind == "expression" and at <= c.start < at + len(name) + len(value) + 4
                          for c in self.constructs)  # fmt: skip
        if holds_field:
            if name == "width":
                self.report(f"{name!r} of <{tag}> needs a number, a merge field is lost here", "write px or %", at)
            return
        if kind.startswith("enum("):
            options = kind[5:].split(")")[0].split(",")
            if value not in options:
                self.report(f"{name}={value!r} of <{tag}> is not one of {', '.join(options)}", "", at)
        elif kind == "color" and value and not _COLOR.match(value.strip()):
            self.report(f"{name}={value!r} of <{tag}> is no color", "write #1a2b3c", at)
        elif kind.startswith("unit(") and value not in ("auto", ""):
            if not all(_UNIT.match(part) for part in value.split()):
                self.report(f"{name}={value!r} of <{tag}> is no length", "write it as 16px", at)
        elif kind == "integer" and not value.lstrip("-").isdigit():
            self.report(f"{name}={value!r} of <{tag}> is no whole number", "", at)

    def _check_special(self, tag: str, values: dict[str, str | None]) -> None:
        if tag == "mj-hero" and not (values.get("background-url") and values.get("background-height")):
            self.report("<mj-hero> needs background-url and background-height", "use <mj-section> without an image")
        elif tag == "mj-font" and values.get("name") in BUILT_IN_FONTS:
            self.report(f"font {values['name']!r} is linked by the compiler already", "remove this <mj-font>")
        elif tag == "mj-raw" and "position" in values:
            self.report("position of <mj-raw> is not supported", "put it into <mj-head>")
        elif tag == "mj-carousel":
            self.report("<mj-carousel> does not work in most mail programs", "show one image")


def _quoted(tag_text: str, offset: int) -> bool:
    before = tag_text[:offset]
    return before.count('"') % 2 == 1 or before.count("'") % 2 == 1


def _is_mjml(tag: str) -> bool:
    return tag == "mjml" or tag.startswith("mj-")
