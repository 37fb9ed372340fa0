"""Reads one file into a typed staging table in a single DuckDB pass; what does not fit is set aside with its place."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from dunning_pipeline.data_streams.declaration import Column, Format, StreamSource
from dunning_pipeline.data_streams.file_text import ReadableFile
from dunning_pipeline.data_streams.landing_tables import quoted
from dunning_pipeline.data_streams.typed_columns import reason_for, typed_sql
from dunning_pipeline.errors import InvalidInput

STAGE = 'landing."_stage"'
MAX_LINE_BYTES = 16 << 20
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


@dataclass(frozen=True)
class Shape:
    """What of the object's declaration the staging SQL needs."""

    stream: StreamSource
    name: str
    zone: str

    @property
    def form(self) -> Format:
        return self.stream.format_of(self.name)

    @property
    def columns(self) -> dict[str, Column]:
        return self.stream.objects[self.name].columns


def stage_file(
    con: duckdb.DuckDBPyConnection,
    shape: Shape,
    header: Header,
    file: ReadableFile,
    *,
    original: Path,
    loaded_at: Any,
) -> int:
    """Fill STAGE from one file; returns the number of good and bad rows in it (rejected lines are not among them).

    Structural rejects are left in the temporary table _reader_errors, bad values in STAGE._bad.
    """
    con.execute(f"drop table if exists {STAGE}")
    con.execute("drop table if exists _reader_errors; drop table if exists _reader_scans")
    statement = stage_sql(shape, header, file, original=original, loaded_at=loaded_at)
    try:
        con.execute(statement)
    except duckdb.Error as error:
        text = str(error).split("\n")[0]
        raise InvalidInput(
            f"cannot be read: {text}", file=original, remedy="look at the file, deliver it again"
        ) from None
    con.execute(f"update {STAGE} set _line = rowid + 2")
    return int(con.execute(f"select count(*) from {STAGE}").fetchone()[0])  # type: ignore[index]


def stage_sql(shape: Shape, header: Header, file: ReadableFile, *, original: Path, loaded_at: Any) -> str:
    """The one statement that reads and types a file."""
    inner, outer, checks = [], [], []
    required = {*shape.stream.objects[shape.name].key, *shape.stream.objects[shape.name].required}
    for number, (column, declared) in enumerate(shape.columns.items()):
        if column not in header.present:
            continue
        raw = _raw(header.present[column], is_text=declared.type == "text" and column not in required)
        inner.append(f"{raw} as _r{number}")
        if declared.type == "text":
            outer.append(f"_r{number} as {quoted(column)}")
        else:
            inner_typed = typed_sql(f"_r{number}", declared, shape.form, zone=shape.zone)
            outer.append(f"{inner_typed} as {quoted(column)}")
            checks.append(
                (
                    f"_r{number} is not null and {quoted(column)} is null",
                    column,
                    f"_r{number}",
                    reason_for(declared, shape.form),
                )
            )
        if column in required:
            checks.append((f"_r{number} is null", column, "''", "required, but empty"))
        if declared.type == "text" and file.has_nul:
            checks.append((f"contains({quoted(column)}, chr(0))", column, quoted(column), "contains a NUL byte"))
    raws = [part.rsplit(" as ", 1)[1] for part in inner]
    unknown = [quoted(name) for name in header.unknown]
    typed = f"select {', '.join([*outer, *unknown, *raws])} from (select {', '.join([*inner, *unknown])} from {_reader(header, file, shape.form)})"
    modified = _first_present(shape.stream.objects[shape.name].modified, header, "null::timestamp")
    deleted = _first_present((shape.stream.objects[shape.name].deleted or "",), header, "false")
    columns = [quoted(column) for column in header.present] + unknown
    return (
        f"create table {STAGE} as select {', '.join(columns)}, '{shape.stream.source}' as _source, "
        f"{_text(original.name)} as _file, null::bigint as _line, "
        f"timestamp '{loaded_at:%Y-%m-%d %H:%M:%S.%f}' as _loaded_at, {modified} as _modified_at, "
        f"coalesce({deleted}, false) as _is_deleted, {_bad(checks)} as _bad from ({typed})"
    )


def _raw(names: list[str], *, is_text: bool) -> str:
    parts = [quoted(name) if is_text else f"nullif(trim({quoted(name)}), '')" for name in names]
    return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"


def _first_present(names: tuple[str, ...], header: Header, otherwise: str) -> str:
    there = [quoted(name) for name in names if name in header.present]
    return f"coalesce({', '.join(there)})" if there else otherwise


def _bad(checks: list[tuple[str, str, str, str]]) -> str:
    if not checks:
        return "null::struct(c varchar, v varchar, r varchar)[]"
    found = ", ".join(
        f"{{'c': {_text(column)}, 'v': case when {condition} then {value} end, 'r': {_text(reason)}}}"
        for condition, column, value, reason in checks
    )
    condition = " or ".join(f"({check[0]})" for check in checks)
    return f"case when {condition} then list_filter([{found}], lambda bad: bad.v is not null) end"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _reader(header: Header, file: ReadableFile, form: Format) -> str:
    if file.path.suffix == ".parquet":
        columns = ", ".join(f"cast({quoted(name)} as varchar) as {quoted(name)}" for name in header.names)
        return f"(select {columns} from read_parquet({_text(str(file.path))}))"
    json_copy = form.file_type == "json" or file.path.name.endswith(".json.csv")
    columns = ", ".join(f"{_text(name)}: 'varchar'" for name in header.names)
    return (
        f"read_csv({_text(str(file.path))}, header = true, auto_detect = false, columns = {{{columns}}}, "
        f"delim = {_text(',' if json_copy else form.delimiter)}, quote = {_text(form.quote)}, "
        f"escape = {_text(form.quote)}, max_line_size = {MAX_LINE_BYTES}, store_rejects = true, "
        "rejects_table = '_reader_errors', rejects_scan = '_reader_scans')"
    )
