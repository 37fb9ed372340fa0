"""Fills a template version with one merge document: e-mail (subject, preheader, HTML, text), SMS, letter wording."""

import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from itertools import islice
from typing import Any

from jinja2 import Environment, Template, UndefinedError
from jinja2.runtime import Context, missing
from jinja2.sandbox import SecurityError

from dunning_pipeline.errors import DunningError, InvalidDeclaration
from dunning_pipeline.letters.compiling import TemplateVersion
from dunning_pipeline.letters.creditor import in_language
from dunning_pipeline.letters.environment import (
    BUDGET,
    MAX_OUTPUT_CHARACTERS,
    MAX_STEPS,
    EmptyField,
    LetterEnvironment,
    counted_range,
    letter_environment,
)
from dunning_pipeline.letters.fields import AT_SENDING, nearest
from dunning_pipeline.letters.printing import Plate, Print
from dunning_pipeline.letters.sms import normalised
from dunning_pipeline.letters.wording import BOLD, PARTS, UNBOLD, mark_bold


@dataclass(frozen=True)
class RenderedEmail:
    """One message; `subject` and `preheader` are single lines of plain text, `html` and `text` Prints where a template
    made them."""

    subject: str
    html: str
    text: str
    filling: "_Filling" = field(repr=False, compare=False)

    @cached_property
    def preheader(self) -> str:
        """What mail programs show beside the subject; the HTML has it too, so that sending never asks for it."""
        return one_line(self.filling.part("preheader"))


def render_email(version: TemplateVersion, document: Mapping[str, Any]) -> RenderedEmail:
    """The e-mail of one recipient; raises InvalidDeclaration with template, line and field where it cannot be made."""
    texts = document.get("texts") or {}
    filling = _Filling(version, document)
    html = filling.part("html")
    text = filling.part("text") if version.compiled.get("text") else _text_of(html)
    return RenderedEmail(
        subject=one_line(texts.get("subject") or filling.part("subject")),
        html=html,
        filling=filling,
        text=Print(tidy(text), text.pieces, text.plate) if isinstance(text, Print) else tidy(text),
    )


def render_sms(version: TemplateVersion, document: Mapping[str, Any]) -> str:
    """The text of one SMS, in letters of the GSM alphabet where these exist."""
    own = (document.get("texts") or {}).get("sms")
    return normalised(" ".join((own or _Filling(version, document).part("text")).split()))


def render_wording(version: TemplateVersion, document: Mapping[str, Any]) -> dict[str, str]:
    """A letter's subject, opening and closing: the hand-written text where there is one, else the template's.

    This is also what "copy text" puts into a draft's empty fields.
    """
    wording = letter_wording(version, document)
    return {part: text.replace(BOLD, "**").replace(UNBOLD, "**") for part, text in wording.items()}


def letter_wording(version: TemplateVersion, document: Mapping[str, Any]) -> dict[str, str]:
    """The same with **bold** as marks (BOLD, UNBOLD) that no typed text contains: values cannot become bold."""
    texts = document.get("texts") or {}
    filling = _Filling(version, document)
    wording = {part: mark_bold(texts[part]) if texts.get(part) else filling.part(part) for part in PARTS}
    return {**{part: tidy(text) for part, text in wording.items()}, "subject": one_line(wording["subject"])}


def one_line(text: str) -> str:
    """A header's text: no CR, LF or other control character, blanks collapsed. Nothing can add a header line."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())


def tidy(text: str) -> str:
    """Plain text without trailing blanks and with at most one empty line in a row."""
    text = "\n".join(map(str.rstrip, text.strip().split("\n")))
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text


class Programs:
    """The Jinja programs of one version, made when first used."""

    def __init__(self, compiled: Mapping[str, Any]) -> None:
        self.compiled = compiled
        self._quick: dict[str, tuple[Template, Plate]] = {}
        self._strict: dict[str, Template] = {}

    def __getitem__(self, part: str) -> tuple[Template, Plate]:
        """The quick program and its plate, which is that of the strict one, too."""
        if part not in self._quick:
            template = self._made(part, quick=True)
            self._quick[part] = template, Plate(template)
        return self._quick[part]

    def strict(self, part: str) -> Template:
        if part not in self._strict:
            self._strict[part] = self._made(part, quick=False)
        return self._strict[part]

    def _made(self, part: str, *, quick: bool) -> Template:
        return _environment(autoescape=part == "html", quick=quick).from_string(self.compiled[part] or "")


@cache
def _environment(*, autoescape: bool, quick: bool) -> LetterEnvironment:
    return letter_environment(autoescape=autoescape, quick=quick)


_programs: dict[int, tuple[TemplateVersion, Programs]] = {}


def programs(version: TemplateVersion) -> Programs:
    """Cached by object: a worker holds few versions and renders each many times."""
    found = _programs.get(id(version))
    if found is None or found[0] is not version:
        if len(_programs) > 256:
            _programs.clear()
        found = _programs[id(version)] = (version, Programs(version.compiled))
    return found[1]


class _Values(dict[str, Any]):
    """What a template sees by name; what it does not see is Jinja's `missing`."""

    def __missing__(self, name: str) -> Any:
        return missing


class _Filling:
    """One document in the templates of one version: what they see, with one budget of steps for all parts."""

    def __init__(self, version: TemplateVersion, document: Mapping[str, Any]) -> None:
        self._version = version
        self._steps = [MAX_STEPS]
        self._values = _Values(AT_SENDING)
        self._values.update(in_language(document, version.language))
        self._values[BUDGET] = self._steps
        self._values["range"] = counted_range
        self._contexts: dict[Environment, Context] = {}

    def part(self, name: str) -> Print:
        steps = self._steps[0]
        template, plate = programs(self._version)[name]
        try:
            return self._print(template, plate)
        except Exception:  # whatever it was, the strict program says it better, or prints what this one cannot
            self._steps[0] = steps
        template = programs(self._version).strict(name)
        try:
            return self._print(template, plate)
        except Exception as error:  # an author's mistake never ends more than its own message
            raise _explained(error, self._version, name, template) from error

    def _print(self, template: Template, plate: Plate) -> Print:
        context = self._contexts.get(template.environment)
        if context is None or context.vars or template.blocks:  # names that a part sets, and its blocks, are its own
            context = Context(template.environment, self._values, None, template.blocks)
            self._contexts[template.environment] = context
        return Print(*_bounded(template.root_render_func(context)), plate)


def _bounded(printed: Iterator[str]) -> tuple[str, list[str]]:
    """The text and its pieces."""
    pieces = list(islice(printed, 1024))
    text = "".join(pieces)
    while len(text) <= MAX_OUTPUT_CHARACTERS and (more := list(islice(printed, 1024))):
        pieces += more
        text += "".join(more)
    if len(text) > MAX_OUTPUT_CHARACTERS:
        raise SecurityError(f"the message grew beyond {MAX_OUTPUT_CHARACTERS} characters")
    return text, pieces


def _explained(error: Exception, version: TemplateVersion, part: str, template: Template) -> InvalidDeclaration:
    """The same mistake in the author's words: template, file and line of the field, nearest real field."""
    line = _failed_line(error, template)
    source = (version.compiled[part] or "").split("\n")
    written = source[line - 1] if line and line <= len(source) else ""
    constructs = [(text, place) for text, place in version.places.get(part, {}).items() if text in written]
    message = error.message if isinstance(error, DunningError | UndefinedError) else str(error)
    name = _name_in(message or "")
    field = isinstance(error, EmptyField | DunningError)
    empty = _empty_field(error, template, version.compiled[part] or "") if field else None
    message = f"{message}: {empty}" if isinstance(error, EmptyField) and empty else message
    telling = name or empty or ("{% for" if "without end" in (message or "") else None)
    if telling:
        constructs = [(text, place) for text, place in constructs if telling in text] or constructs
    text, place = constructs[0] if constructs else (None, None)
    near = nearest(name) if name else None
    return InvalidDeclaration(
        f"template {version.template} ({version.channel}, {version.language}), {part}: {message}",
        file=place.file if place else f"{version.channel}/{version.template}",
        line=place.line if place else line if part != "html" else None,  # of the compiled page: nobody has that
        column=place.column if place else None,
        value=text,
        remedy=f"did you mean {near!r}? Or say what to print instead: |default(\"…\")" if near else
        "say what to print where the field is empty: |default(\"…\")" if isinstance(error, EmptyField)
        else getattr(error, "remedy", None),
    )  # fmt: skip


def _failed_line(error: Exception, template: Template) -> int | None:
    line = _program_line(error)
    return template.get_corresponding_lineno(line) if line else None


def _program_line(error: Exception) -> int | None:
    """The line of the Python that Jinja made of the template."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == "<template>"]
    return lines[-1] if lines else None


def _empty_field(error: Exception, template: Template, source: str) -> str | None:
    """The name of the field that was printed: each printed expression is a line of its own in Jinja's Python."""
    line = _program_line(error)
    if line is None:
        return None
    code = template.environment.compile(source, raw=True).split("\n")[line - 1]
    root = re.search(r"\bl_\d+_(\w+)", code)
    return ".".join([root[1], *re.findall(r"environment\.getattr\(it, '(\w+)'\)", code)]) if root else None


def _name_in(message: str) -> str | None:
    quoted = message.split("'")
    if "is undefined" in message and len(quoted) > 1:
        return quoted[1]
    return quoted[3] if "has no attribute" in message and len(quoted) > 3 else None


def _text_of(html: str) -> str:
    from inscriptis import get_text

    return str(get_text(html, _inscriptis()))


@lru_cache(maxsize=1)
def _inscriptis() -> Any:
    from inscriptis.model.config import ParserConfig

    return ParserConfig(display_links=True)
