"""Puts a template's parts together before any library sees it, and remembers from which file and line each part came.

`<mj-include path="../parts/pay.mjml"/>` and, in text templates, `{% include "../parts/items.txt.j2" %}`.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from dunning_pipeline.errors import InvalidDeclaration

MAX_DEPTH = 10
MAX_BYTES = 1_000_000
_SUFFIXES = {".mjml", ".html", ".css", ".j2"}
_MJ_INCLUDE = re.compile(r"<mj-include\b([^>]*?)/?>(?:\s*</mj-include\s*>)?", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_JINJA_INCLUDE = re.compile(r"""\{%-?\s*include\s+(?:"([^"]*)"|'([^']*)')\s*-?%\}""")
_COMMENT = re.compile(r"<!--.*?-->|\{#.*?#\}", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where an author finds something: line and column count from 1."""

    file: Path
    line: int
    column: int


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong; `remedy` says what to do."""

    place: Place
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.place.file}:{self.place.line}:{self.place.column}: {self.message}"
        return f"{text}\n  → {self.remedy}" if self.remedy else text


@dataclass
class Assembled:
    """One text made of several files; `place` leads from an offset in it back to the file."""

    text: str = ""
    pieces: list[tuple[int, Path, int, str]] = field(default_factory=list)  # offset here, file, offset there, source

    def add(self, source: str, start: int, end: int, file: Path) -> None:
        if end > start or not self.pieces:  # an empty file is a piece, too: its place is line 1
            self.pieces.append((len(self.text), file, start, source))
            self.text += source[start:end]

    def place(self, offset: int) -> Place:
        begin, file, origin, source = self.pieces[0]
        for piece in self.pieces:
            if piece[0] > offset:
                break
            begin, file, origin, source = piece
        there = origin + offset - begin
        line = source.count("\n", 0, there) + 1
        return Place(file, line, there - (source.rfind("\n", 0, there) + 1) + 1)


def assemble(file: Path, *, root: Path) -> Assembled:
    """The text of `file` with its includes; each must be a real file below `root`, at most 10 deep, 1 MB in all.

    Raises InvalidDeclaration with the place of the include for a path that leaves `root` (absolute, `..`, a link),
    a missing file, another suffix than .mjml, .html, .css or .j2, a cycle, or too much text.
    """
    whole = Assembled()
    _append(whole, file, root.resolve(), ())
    return whole


def read_source(file: Path) -> str:
    """A template file as text with \\n line ends. Raises InvalidDeclaration where it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise InvalidDeclaration(f"not UTF-8 text: {error.reason}", file=file, remedy="save it as UTF-8") from None


def _append(whole: Assembled, file: Path, root: Path, above: tuple[Path, ...]) -> None:
    source = read_source(file)
    hidden = [match.span() for match in _COMMENT.finditer(source)]
    pattern = _MJ_INCLUDE if file.suffix in (".mjml", ".html") else _JINJA_INCLUDE
    position = 0
    for match in pattern.finditer(source):
        if any(start <= match.start() < end for start, end in hidden):
            continue
        whole.add(source, position, match.start(), file)
        line = source.count("\n", 0, match.start()) + 1
        column = match.start() - (source.rfind("\n", 0, match.start()) + 1) + 1
        path, kind = _target(match, pattern is _MJ_INCLUDE)
        included = _jailed(path, file, line, column, root, (*above, file.resolve()))
        _add_included(whole, included, kind, root, (*above, file.resolve()))
        if len(whole.text.encode()) > MAX_BYTES:
            raise InvalidDeclaration(f"more than {MAX_BYTES} bytes with its includes", file=file, line=line)
        position = match.end()
    whole.add(source, position, len(source), file)


def _target(match: re.Match[str], is_mjml: bool) -> tuple[str, str]:
    if not is_mjml:
        return match[1] or match[2] or "", "text"
    attributes = {name.lower(): double or single for name, double, single in _ATTRIBUTE.findall(match[1])}
    inline = attributes.get("css-inline") == "inline"
    return attributes.get("path", ""), attributes.get("type", "mjml") + ("-inline" if inline else "")


def _add_included(whole: Assembled, file: Path, kind: str, root: Path, above: tuple[Path, ...]) -> None:
    wrappers = {
        "css": ("<mj-style>", "</mj-style>"),
        "css-inline": ('<mj-style inline="inline">', "</mj-style>"),
        "html": ("<mj-raw>", "</mj-raw>"),
    }
    before, after = wrappers.get(kind, ("", ""))
    whole.add(before, 0, len(before), file)
    _append(whole, file, root, above)
    whole.add(after, 0, len(after), file)


def _jailed(path: str, file: Path, line: int, column: int, root: Path, above: tuple[Path, ...]) -> Path:
    def refused(message: str, remedy: str) -> InvalidDeclaration:
        return InvalidDeclaration(message, file=file, line=line, column=column, value=path, remedy=remedy)

    if not path or "{{" in path or "\0" in path or ":" in path or "\\" in path or Path(path).is_absolute():
        raise refused("not a path of a part", "write a relative path such as ../parts/pay.mjml")
    target = (file.parent / path).resolve()
    if not target.is_relative_to(root):
        raise refused("this include leaves the templates folder", f"keep parts below {root.name}/")
    if target.suffix not in _SUFFIXES:
        raise refused("this kind of file cannot be included", f"allowed: {', '.join(sorted(_SUFFIXES))}")
    if not target.is_file():
        raise refused("there is no such part", f"create {target.relative_to(root)} or correct the path")
    if target in above:
        raise refused("this include goes in a circle", "a part must not include a file that includes it")
    if len(above) > MAX_DEPTH:
        raise refused(f"includes are nested more than {MAX_DEPTH} deep", "put the parts side by side")
    return target
