"""What only the author's own files show, because compiling mends or drops it: images, elements, stars, line breaks."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from dunning_pipeline.letters.catalogue import TemplateSource
from dunning_pipeline.letters.markup.including import Assembled, assemble
from dunning_pipeline.letters.markup.masking import filled, find_constructs
from dunning_pipeline.letters.markup.rules import ENDING

Said = Iterator[tuple[str, str, str]]  # severity, check, message
_CLOSED = {"a", "b", "div", "em", "h1", "h2", "h3", "h4", "i", "span", "strong", "sub", "sup", "table", "u", "ul", "ol"}


def check_written(source: TemplateSource) -> Said:
    """Findings with their places; raises InvalidDeclaration where the files cannot be read."""
    whole = assemble(source.file, root=source.root)
    if source.channel == "letter":
        yield from _stars(whole)
    if source.channel != "email":
        return
    text = filled(whole, find_constructs(whole))
    shadow = re.sub("<!--.*?-->", lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.DOTALL)
    yield from _images(whole, shadow)
    yield from _elements(whole, shadow)
    subject = assemble(source.subject_file, root=source.root)
    lines = filled(subject, find_constructs(subject)).strip().split("\n")
    if sum(bool(line.strip()) for line in lines) > 1:
        yield "warning", "subject", f"{source.subject_file}: several lines become one"


def _at(whole: Assembled, offset: int) -> str:
    place = whole.place(offset)
    return f"{place.file}:{place.line}:{place.column}"


def _stars(whole: Assembled) -> Said:
    """`**` that is begun and not ended within its paragraph is printed as it is."""
    for paragraph in re.finditer(r"(?:.+\n?)+", whole.text):
        if paragraph[0].count("**") % 2:
            at = paragraph.start() + paragraph[0].rfind("**")
            yield "warning", "bold", f"{_at(whole, at)}: this ** has no other: it is printed as two stars"


def _images(whole: Assembled, shadow: str) -> Said:
    """The compiler gives an image without alt an empty one."""
    for image in re.finditer(r"<mj-image\b[^>]*>", shadow, re.IGNORECASE):
        if not re.search(r"\salt\s*=", image[0], re.IGNORECASE):
            yield (
                "error",
                "alt",
                f'{_at(whole, image.start())}: an image without alt text; alt="" where it only decorates',
            )


def _elements(whole: Assembled, shadow: str) -> Said:
    """HTML that is not closed where it was opened: the compiler closes it at the end of the text."""
    reader = _Html(shadow)
    for offset, name in sorted(reader.unclosed):
        yield "warning", "html", f"{_at(whole, offset)}: <{name}> is not closed; close it with </{name}>"


class _Html(HTMLParser):
    def __init__(self, shadow: str) -> None:
        super().__init__(convert_charrefs=False)
        self.starts = [0, *(match.end() for match in re.finditer("\n", shadow))]
        self.open: list[tuple[int, str]] = []
        self.unclosed: list[tuple[int, str]] = []
        self.feed(shadow)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _CLOSED:
            line, column = self.getpos()
            self.open.append((self.starts[line - 1] + column, tag))

    def handle_endtag(self, tag: str) -> None:
        if tag in ENDING:
            self.unclosed += self.open
            self.open = []
        elif any(name == tag for _, name in self.open):
            while (last := self.open.pop())[1] != tag:
                self.unclosed.append(last)
