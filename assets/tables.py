"""Shows rows in the UI: small Markdown tables in which nobody's address or number can be read."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_CELL = 60
_ADDRESS = re.compile(r"([^@\s<>,;\"']{1,2})[^@\s<>,;\"']*@([^\s<>,;\"']+)")
_PERSONAL = ("email", "phone", "mobile", "birth", "street", "first_name", "last_name", "full_name")


def as_markdown(rows: Sequence[Mapping[str, Any]], *, masked: bool = False, longest: int = LONGEST_CELL) -> str:
    """A Markdown table; e-mail addresses are always masked, `masked` hides the columns of personal data as well.

    What the UI shows is kept in Dagster's event log for ever, so it must not become a second address book.
    """
    if not rows:
        return "*no rows*"
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += [
        "| " + " | ".join(_cell(column, row.get(column), masked, longest) for column in columns) + " |" for row in rows
    ]
    return "\n".join(lines)


def _cell(column: str, value: Any, masked: bool, longest: int) -> str:
    if value is None:
        return ""
    text = str(value)
    if masked and text and any(part in column.lower() for part in _PERSONAL):
        return "•••"
    text = _ADDRESS.sub(r"\1•••@\2", text)
    text = text[:longest] + "…" if len(text) > longest else text
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
