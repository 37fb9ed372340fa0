"""Text in CSV files that people open in a spreadsheet: what a source wrote must not run there as a formula."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # the wide ones count in Japanese sheets
# amounts, phone numbers, dates: without a letter nothing is called, and programs read them as they are
_HARMLESS = re.compile(r"[+-][\d\s.,:/()%-]*")


def safe_cell(value: Any) -> Any:
    """The value, with an apostrophe before text that a spreadsheet would run; numbers and phone numbers stay."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA) and not _HARMLESS.fullmatch(value):
        return f"'{value}"
    return value


def safe_rows(rows: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    return ({name: safe_cell(value) for name, value in row.items()} for row in rows)
