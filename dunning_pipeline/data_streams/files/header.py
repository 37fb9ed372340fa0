"""Meets a file's header with the declared columns: any case, any order, aliases; unknown ones are kept and reported."""

from dataclasses import dataclass, field
from pathlib import Path

from dunning_pipeline.data_streams.declaration import StreamSource
from dunning_pipeline.errors import InvalidInput

_DELIMITERS = (",", ";", "\t", "|")


@dataclass
class Header:
    """How the file's columns meet the declared ones."""

    names: list[str]
    present: dict[str, list[str]] = field(default_factory=dict)  # declared column → header names, best first
    unknown: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # declared, not required, not there


def match_header(names: list[str], stream: StreamSource, name: str, file: Path) -> Header:
    """Declared columns by header name or alias, any case and order.

    Raises InvalidInput where a key or required column is missing, with a hint where the delimiter looks wrong.
    """
    declared, form = stream.objects[name], stream.format_of(name)
    by_lower = {header.lower(): header for header in names}
    header = Header(names)
    taken: set[str] = set()
    for column, meaning in declared.columns.items():
        found = [by_lower[n.lower()] for n in (column, *meaning.aliases) if n.lower() in by_lower]
        if found:
            header.present[column] = found
            taken.update(found)
    header.unknown = [n for n in names if n not in taken]
    header.missing = [column for column in declared.columns if column not in header.present]
    needed = [column for column in (*declared.key, *declared.required) if column in header.missing]
    if needed:
        wanted = ", ".join(" or ".join((column, *declared.columns[column].aliases)) for column in needed)
        other = next((d for d in _DELIMITERS if len(names) == 1 and d != form.delimiter and d in names[0]), None)
        if other:
            raise InvalidInput(
                f"the header is one column: it looks delimited by {other!r}, declared is {form.delimiter!r}",
                file=file,
                line=1,
                value=names[0][:200],
                remedy=f"set `delimiter: {other!r}` for {stream.source}.{name}, or deliver the file as declared",
            )
        raise InvalidInput(
            f"column {wanted} is missing from the header",
            file=file,
            line=1,
            value=", ".join(names)[:300],
            remedy=f"deliver it, or change {stream.source}.{name} in policies/streams",
        )
    return header
