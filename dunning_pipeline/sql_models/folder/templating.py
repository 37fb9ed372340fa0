"""Turns one analyst's Jinja SQL into the SQL that runs: `ref`, `source`, `var`, `run_date` and the folder's macros."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.runtime import Macro
from jinja2.sandbox import SandboxedEnvironment

from dunning_pipeline.errors import DunningError, InvalidDeclaration


@dataclass(frozen=True)
class Call:
    """One call in a template whose arguments are written out, such as ref('invoices')."""

    function: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    line: int


def environment() -> SandboxedEnvironment:
    """Jinja as dbt reads it: an undefined name is an error, and a template reaches nothing outside itself."""
    return SandboxedEnvironment(undefined=StrictUndefined, extensions=["jinja2.ext.do"])


def calls_of(text: str, file: Path, names: tuple[str, ...]) -> tuple[Call, ...]:
    """Every call of one of `names` in the template, in branches that are not taken too.

    Raises InvalidDeclaration with line and column for text that is no Jinja.
    """
    try:
        return _calls(text, names)
    except TemplateSyntaxError as error:
        raise syntax_error(error, text, file) from None


@lru_cache(maxsize=1024)  # a server reads the same folder again and again
def _calls(text: str, names: tuple[str, ...]) -> tuple[Call, ...]:
    wanted = set(names)
    found = []
    for node in environment().parse(text).find_all(nodes.Call):
        if not isinstance(node.node, nodes.Name) or node.node.name not in wanted:
            continue
        try:
            arguments = tuple(argument.as_const() for argument in node.args)
            options = {option.key: option.value.as_const() for option in node.kwargs}
        except nodes.Impossible:
            continue
        found.append(Call(node.node.name, arguments, options, node.lineno))
    return tuple(found)


def syntax_error(error: TemplateSyntaxError, text: str, file: Path) -> InvalidDeclaration:
    line = error.lineno
    source = text.splitlines()[line - 1] if 0 < line <= len(text.splitlines()) else ""
    column = max(source.find("{{"), source.find("{%"), 0) + 1
    return InvalidDeclaration(
        f"Jinja: {error.message}", file=file, line=line, column=column, remedy="correct the braces at this place"
    )


def column_of(text: str, line: int, word: str) -> int | None:
    """Column (from 1) of a word in a line (from 1) of the text, None where it is not there."""
    lines = text.splitlines()
    if not 0 < line <= len(lines):
        return None
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", lines[line - 1])
    return found.start() + 1 if found else None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelled one most likely meant."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    close = nearest(word, known)
    return f"did you mean {close!r}?" if close else otherwise


@lru_cache(maxsize=1_000)
def _compiled(text: str, name: str) -> CodeType:
    """Compiling costs far more than rendering, and one build renders the same macros for every slice of a model."""
    return environment().compile(text, name=name, filename=name)


def _name_of(file: Path) -> str:
    """A file's name in the folder of models: equal texts are compiled once, wherever their folder lies."""
    return "/".join(file.parts[-2:])


class TemplateRunner:
    """Renders templates with one set of functions; macros are those of the folder's macros/*.sql."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]], macro_files: Iterable[Path]) -> None:
        self._environment = environment()
        self._environment.globals.update(functions)
        for file in macro_files:
            self._load_macros(file)

    def _load_macros(self, file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        try:
            module = self._template(text, file).make_module()
        except TemplateSyntaxError as error:
            raise syntax_error(error, text, file) from None
        macros = {name: macro for name, macro in vars(module).items() if isinstance(macro, Macro)}
        self._environment.globals.update(macros)

    def _template(self, text: str, file: Path) -> Any:
        code = _compiled(text, _name_of(file))
        return self._environment.template_class.from_code(self._environment, code, self._environment.globals)

    def render(self, text: str, file: Path) -> str:
        """The SQL of a template without trailing semicolon; raises InvalidDeclaration at the analyst's line."""
        try:
            return str(self._template(text, file).render()).rstrip().rstrip(";").rstrip()
        except TemplateSyntaxError as error:
            raise syntax_error(error, text, file) from None
        except DunningError as error:
            if error.file is None:
                error.file, error.line = file, _line_in(error, file)
            raise
        except TemplateError as error:
            raise self._undefined(error, text, file) from None
        except (TypeError, ValueError, ArithmeticError) as error:
            raise InvalidDeclaration(f"Jinja: {error}", file=file, line=_line_in(error, file)) from None

    def _undefined(self, error: TemplateError, text: str, file: Path) -> InvalidDeclaration:
        line = _line_in(error, file)
        word = re.match(r"'([^']+)' is undefined", error.message or "") if isinstance(error, UndefinedError) else None
        name = word.group(1) if word else None
        return InvalidDeclaration(
            f"Jinja: {error.message}",
            file=file,
            line=line,
            column=column_of(text, line, name) if line and name else None,
            remedy=did_you_mean(name, map(str, self._environment.globals), "declare it, or use var('name', default)")
            if name
            else None,
        )


def _line_in(error: BaseException, file: Path) -> int | None:
    line, traceback = None, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == _name_of(file):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
