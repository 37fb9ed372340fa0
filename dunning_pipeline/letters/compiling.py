"""Turns an author's files into a template version: MJML compiled once, texts assembled, everything checked, hashed.

files → assemble (jail) → lint → mask → MJML → restore → check fields → TemplateVersion (sha256 of what it became)
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import TemplateSyntaxError

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.letters.catalogue import Channel, TemplateSource
from dunning_pipeline.letters.environment import check_filters, letter_environment
from dunning_pipeline.letters.fields import check_fields
from dunning_pipeline.letters.labels import Labels, layout_mistakes, read_labels, unknown_labels
from dunning_pipeline.letters.markup.blocks import unpaired
from dunning_pipeline.letters.markup.including import Assembled, Mistake, Place, assemble, read_source
from dunning_pipeline.letters.markup.linting import lint
from dunning_pipeline.letters.markup.masking import LABEL_FIELD, Construct, Masked, find_constructs, mask
from dunning_pipeline.letters.markup.mirroring import is_right_to_left, mirrored
from dunning_pipeline.letters.paper.logo import read_logo
from dunning_pipeline.letters.wording import PARTS, split_wording

_PREVIEW = re.compile(r"<mj-preview\b[^>]*>(.*?)</mj-preview\s*>", re.DOTALL | re.IGNORECASE)

Places = dict[str, Place]  # construct as written → where it stands first


@dataclass(frozen=True)
class TemplateVersion:
    """A compiled template: what is published, pinned by sends and rendered for each recipient."""

    template: str
    channel: Channel
    language: str
    compiled: dict[str, Any]  # email: subject, preheader, html, text; sms: text; letter: subject, opening, …
    places: dict[str, Places] = field(default_factory=dict)  # by part; for error messages, not part of the hash

    @cached_property
    def version(self) -> str:
        """sha256 of what the template became; equal files give equal versions on every machine."""
        head = {"template": self.template, "channel": self.channel, "language": self.language}
        return hashlib.sha256(canonical_json({**head, "compiled": self.compiled}).encode()).hexdigest()


_Stamps = dict[Path, tuple[int, int]]
_made: dict[TemplateSource, tuple[_Stamps, TemplateVersion]] = {}


def compile_template(source: TemplateSource) -> TemplateVersion:
    """The version that these files make; remembered until one of them changes.

    Raises InvalidDeclaration with every mistake that was found.
    """
    known = _made.get(source)
    if known is not None and all(_stamp(file) == stamp for file, stamp in known[0].items()):
        return known[1]
    version = _compiled(source)
    files = {place.file for part in version.places.values() for place in part.values()} | {
        source.file,
        source.subject_file,
        source.text_file,
    }
    # parts without any field, and labels, are files of the same folders: all of them count
    files |= {file for folder in ("labels", f"{source.channel}/parts") for file in (source.root / folder).glob("*")}
    files |= {source.root / source.logo} if source.logo else set()
    files |= {source.layout_file, *((source.root / source.channel / source.language).glob("*"))}
    _made[source] = ({file: _stamp(file) for file in files}, version)
    return version


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def _compiled(source: TemplateSource) -> TemplateVersion:
    labels = read_labels(source.root, source.language)
    places: dict[str, Places] = {}
    if source.channel == "email":
        compiled, places = _email(source, labels)
    elif source.channel == "sms":
        text, places["text"] = _text(source.file, source.root, labels)
        compiled = {"text": text}
    else:
        text, found = _text(source.file, source.root, labels)
        wording, places = split_wording(source.file, text), dict.fromkeys(PARTS, found)
        layout = _layout(source, labels)
        compiled = {**wording, "labels": dict(labels), "layout": layout, "logo": read_logo(source)}
    _parse_all(compiled, places, source.file)
    return TemplateVersion(source.template, source.channel, source.language, compiled, places)


def _layout(source: TemplateSource, labels: Labels) -> str:
    """The text of letter.typ; each label that it or the letter's data need is there."""
    file = source.layout_file
    if not file.is_file():
        raise InvalidDeclaration("the letters' layout is missing", file=file, remedy="copy it from `dunning init DIR`")
    whole = Assembled()
    whole.add(text := read_source(file), 0, len(text), file)
    if mistakes := layout_mistakes(whole, labels, source.root):
        raise combined(mistakes)
    return text


def compile_html(source: Assembled, labels: Labels, *, root: Path) -> tuple[str, Masked]:
    """MJML with Jinja in it → HTML with the same Jinja in it; mirrored for a language that is read from the right.

    Raises InvalidDeclaration for what the linter finds and for fields that are lost or moved.
    """
    constructs = find_constructs(source)
    mistakes = lint(source, constructs) + unknown_labels(source, constructs, labels, root)
    if mistakes:
        raise combined(mistakes)
    masked = mask(source)
    compiled = _without_indentation(run_mjml(masked.text, source))
    if is_right_to_left(labels.language):
        compiled = mirrored(compiled)
    _nothing_lost(masked, compiled, source)
    return masked.restore(compiled, labels), masked


def run_mjml(text: str, source: Assembled) -> str:
    """The compiler itself, on text without Jinja and without includes. Its crashes become InvalidDeclaration."""
    file = source.pieces[0][1]
    if re.search("<mj-include", re.sub("<!--.*?-->", "", text, flags=re.DOTALL), re.IGNORECASE):
        raise InvalidDeclaration("an <mj-include> was left over", file=file, remedy="close its tag")
    try:
        return _html_of(text)
    except Exception as error:
        raise InvalidDeclaration(
            f"the MJML compiler cannot read this: {type(error).__name__}: {error}",
            file=file,
            remedy="look at the element that was changed last; `dunning template check` names known limits",
        ) from error


@lru_cache(maxsize=64)  # of a template in twenty languages, most are looked at again unchanged
def _html_of(text: str) -> str:
    from mjml import mjml_to_html

    return str(mjml_to_html(text).html)


def _without_indentation(html: str) -> str:
    """The same page a quarter smaller: white space around line breaks means nothing outside of <pre>."""
    return html if "<pre" in html.lower() or "<textarea" in html.lower() else re.sub(r"[ \t\r\n]*\n[ \t]*", "\n", html)


def combined(mistakes: list[Mistake]) -> InvalidDeclaration:
    """All mistakes as one error that stands at the first, each followed by its own remedy."""
    first, *others = mistakes
    place, remedy = first.place, first.remedy or None
    message = first.message
    if others:
        message += "".join([f"\n  → {remedy}" if remedy else "", *(f"\n  {mistake}" for mistake in others)])
        remedy = None
    return InvalidDeclaration(message, file=place.file, line=place.line, column=place.column, remedy=remedy)


def _email(source: TemplateSource, labels: Labels) -> tuple[dict[str, Any], dict[str, Places]]:
    whole = assemble(source.file, root=source.root)
    html, masked = compile_html(whole, labels, root=source.root)
    places = dict.fromkeys(("html", "preheader"), _places(masked.constructs, whole))
    preview = _PREVIEW.search(whole.text)
    if not source.subject_file.is_file():
        raise InvalidDeclaration("the subject is missing", file=source.subject_file, remedy="write it: one line")
    subject, places["subject"] = _text(source.subject_file, source.root, labels)
    text = None
    if source.text_file.is_file():
        text, places["text"] = _text(source.text_file, source.root, labels)
    preheader = _with_labels(preview[1].strip(), labels) if preview else ""
    return {"subject": subject.strip(), "preheader": preheader, "html": html, "text": text}, places


def _text(file: Path, root: Path, labels: Labels) -> tuple[str, Places]:
    whole = assemble(file, root=root)
    constructs = find_constructs(whole)
    mistakes = unpaired(whole, constructs) + unknown_labels(whole, constructs, labels, root)
    if mistakes:
        raise combined(mistakes)
    return _with_labels(whole.text, labels), _places(constructs, whole)


def _with_labels(text: str, labels: Mapping[str, str]) -> str:
    return LABEL_FIELD.sub(lambda match: labels[match[1]], text)


def _places(constructs: list[Construct], source: Assembled) -> Places:
    places: Places = {}
    for construct in constructs:
        places.setdefault(construct.text, source.place(construct.start))
    return places


def _nothing_lost(masked: Masked, compiled: str, source: Assembled) -> None:
    order = masked.order(compiled)
    present = set(order)
    mistakes = [
        Mistake(
            source.place(construct.start), f"{construct.text} is lost by the MJML compiler", "move it into <mj-text>"
        )
        for index, construct in enumerate(masked.constructs)
        if index not in present and construct.kind in ("expression", "statement")
    ]
    body = masked.text.lower().find("<mj-body")
    statements = [index for index in order if masked.constructs[index].kind == "statement"]
    in_body = [index for index in statements if masked.text.find(f"jjz{index}zjj") > body]
    for before, after in pairwise(in_body):
        if after <= before:
            construct = masked.constructs[after]
            place = source.place(construct.start)
            mistakes.append(Mistake(place, f"{construct.text} is moved or doubled by the compiler", "use <mj-raw>"))
    if mistakes:
        raise combined(mistakes)


def _parse_all(compiled: Mapping[str, Any], places: Mapping[str, Places], file: Path) -> None:
    for part, text in compiled.items():
        if not isinstance(text, str) or part in ("layout", "logo"):
            continue
        environment = letter_environment(autoescape=part == "html")
        try:
            tree = environment.parse(text)
            check_filters(tree, environment)
            environment.compile(tree)
        except TemplateSyntaxError as error:
            raise _syntax_error(error, part, text, places[part], file) from None
        check_fields(tree, places[part], file)


def _syntax_error(error: TemplateSyntaxError, part: str, text: str, places: Places, file: Path) -> InvalidDeclaration:
    """The line that Jinja names is one of the compiled text: lead back to the construct that stands there."""
    written = text.split("\n")[error.lineno - 1]
    found = [(construct, place) for construct, place in places.items() if construct in written]
    message = f"{part}: {error.message}"
    if not found:
        return InvalidDeclaration(message, file=file, line=error.lineno if part != "html" else None)
    named = re.search(r"named '([^']+)'|\|\w+\('([^']+)'\)", message)
    telling = (named[1] or named[2]) if named else ""
    construct, place = next((one for one in found if telling and telling in one[0]), found[-1])
    remedy = None
    if named and named[1]:
        near = get_close_matches(telling, letter_environment(autoescape=False).filters, 1, 0.5)
        remedy = f"did you mean {near[0]!r}?" if near else "templates/README.md lists the filters"
    return InvalidDeclaration(
        message, file=place.file, line=place.line, column=place.column, value=construct, remedy=remedy
    )
