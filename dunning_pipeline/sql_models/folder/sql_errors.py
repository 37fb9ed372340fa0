"""Maps what DuckDB says about rendered SQL back to the line and column of the analyst's file."""

import difflib
import json
import re
from pathlib import Path

import duckdb

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.sql_models.folder.project import MEMBER, Model

_QUOTED = re.compile(r'"([^"]+)"')
_WORD = re.compile(r"[\w.]+|\S")


def explained(error: duckdb.Error, *, rendered: str, text: str, file: Path, prefix: str = "") -> InvalidDeclaration:
    """DuckDB's error about `prefix + rendered` as a mistake in `file`, whose template is `text`.

    Expects a connection with `errors_as_json` on; without it the message comes without a place.
    """
    message, detail = _parsed(error)
    line, column = None, None
    if (position := detail.get("position")) is not None:
        offset = int(position) - len(prefix.encode())
        line, column = place(rendered, text, offset)
    first, _, hint = message.partition("\n")
    name = detail.get("name") or (_QUOTED.findall(first) or [""])[-1]
    if detail.get("error_subtype") == "NO_MATCHING_FUNCTION":
        hint = "cast the values to the types that the function takes"
    elif bindings := _QUOTED.findall(hint):
        hint = f"did you mean {_closest(str(name), bindings)}?"
    remedy = hint.strip() or "correct the SQL at this place"
    return InvalidDeclaration(first, file=file, line=line, column=column, remedy=remedy)


def message_of(error: duckdb.Error) -> str:
    """What DuckDB says, in one line, whether or not errors come as JSON."""
    return _parsed(error)[0].partition("\n")[0]


def _parsed(error: duckdb.Error) -> tuple[str, dict[str, str]]:
    text = str(error)
    try:
        detail = json.loads(text[text.index("{") :])
        return str(detail["exception_message"]), detail
    except (ValueError, KeyError):
        return text, {}


def _closest(name: str, candidates: list[str]) -> str:
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.0)
    return repr(close[0] if close else candidates[0])


def place(rendered: str, text: str, offset: int) -> tuple[int | None, int | None]:
    """Line and column (from 1) in the template `text` of a place in the SQL, given in bytes."""
    before = rendered.encode()[: max(offset, 0)].decode(errors="ignore")
    row = before.count("\n")
    rendered_lines, source_lines = rendered.split("\n"), text.split("\n")
    if row >= len(rendered_lines) or not source_lines:
        return None, None
    line_text = rendered_lines[row]
    source_row = _same_row(rendered_lines, source_lines, row)
    start = len(before) - (before.rfind("\n") + 1)
    word = _WORD.match(line_text, start)
    column = start
    if word:
        # the same word, the same time it occurs in the line: what Jinja filled in before it has another length
        nth = line_text[:start].count(word.group())
        for _ in range(nth + 1):
            at = source_lines[source_row].find(word.group(), 0 if column == start and _ == 0 else column + 1)
            column = at if at >= 0 else column
        if source_lines[source_row].find(word.group()) < 0:
            column = max(source_lines[source_row].find("{{"), 0)
    return source_row + 1, column + 1


def _same_row(rendered: list[str], source: list[str], row: int) -> int:
    """The template's row (from 0) that became the rendered one; loops in Jinja may have moved it."""
    if len(rendered) == len(source) or (row < len(source) and rendered[row].strip() == source[row].strip()):
        return min(row, len(source) - 1)
    ratios = [
        (difflib.SequenceMatcher(None, rendered[row].strip(), line.strip()).ratio(), -abs(row - at), at)
        for at, line in enumerate(source)
    ]
    return max(ratios)[2]


def not_a_segment(model: Model) -> InvalidDeclaration:
    """The mistake of a segment whose last step does not yield unified accounts."""
    return InvalidDeclaration(
        f"a segment yields {MEMBER}, one row each; this one does not",
        file=model.file,
        line=len(model.text.rstrip().splitlines()) or 1,
        column=1,
        remedy=f"select {MEMBER} in the last step",
    )
