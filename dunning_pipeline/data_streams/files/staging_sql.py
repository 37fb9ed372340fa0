"""Builds the one statement that reads a file, types its columns and marks what does not fit."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from dunning_pipeline.data_streams.declaration import Column, Format, StreamObject, StreamSource
from dunning_pipeline.data_streams.files.file_text import ReadableFile
from dunning_pipeline.data_streams.files.header import Header
from dunning_pipeline.data_streams.files.typed_columns import misfit_sql, reason_for, typed_sql
from dunning_pipeline.data_streams.landing_tables import quoted

MAX_LINE_BYTES = 16 << 20
_KEY_ARGUMENTS = re.compile(r"\bkey(?:_of)?\(([^()]*)\)")


@dataclass(frozen=True)
class Shape:
    """What the staging SQL needs of an object's declaration."""

    stream: StreamSource
    name: str
    zone: str  # of the company: dates with a time of day become business dates in it

    @property
    def declared(self) -> StreamObject:
        return self.stream.objects[self.name]

    @cached_property
    def trimmed(self) -> set[str]:
        """Text columns whose blanks at the ends mean nothing: keys, references and what is required."""
        referring = [
            text
            for mapping in self.stream.mappings
            if mapping.object == self.name
            for field in mapping.fields.values()
            if isinstance(field, str)
            for text in _KEY_ARGUMENTS.findall(field)
        ]
        named = {name.strip().lower() for text in referring for name in text.split(",")}
        named |= {name.lower() for name in (*self.declared.key, *self.declared.required)}
        return {
            name for name, column in self.declared.columns.items() if column.type == "text" and name.lower() in named
        }

    @property
    def form(self) -> Format:
        return self.stream.format_of(self.name)


@dataclass(frozen=True)
class Check:
    """A condition under which a row is rejected, and what is then said of it."""

    condition: str
    column: str
    value: str
    reason: str


def stage_sql(
    shape: Shape, header: Header, file: ReadableFile, *, table: str, file_name: str, loaded_at: datetime
) -> str:
    """CREATE TABLE with the typed columns, the row state and `_bad`: (c)olumn, (v)alue, (r)eason per bad value.

    Three layers: text as read (trimmed where typed), typed values beside their text, then the checks on both.
    """
    places = {column: f"_r{number}" for number, column in enumerate(header.present)}
    deleted = f"coalesce({_first(header, shape.declared.deleted)}, false)"
    texts = [f"{_text_of(shape, header, column)} as {place}" for column, place in places.items()]
    values = [f"{_value_of(shape, column, place)} as {quoted(column)}" for column, place in places.items()]
    unknown = [quoted(name) for name in header.unknown]
    read = f"select {', '.join([*texts, *unknown])} from {reader_sql(header, file)}"
    typed = f"select {', '.join([*values, *unknown, *places.values()])} from ({read})"
    checks = [check for column, place in places.items() for check in _checks(shape, file, column, place, deleted)]
    columns = [*(quoted(column) for column in header.present), *unknown]
    return (
        f"create table {table} as select {', '.join(columns)}, {sql_text(shape.stream.source)} as _source, "
        f"{sql_text(file_name)} as _file, "
        f"timestamp '{loaded_at:%Y-%m-%d %H:%M:%S.%f}' as _loaded_at, "
        f"cast({_first(header, *shape.declared.modified)} as timestamp) as _modified_at, "
        f"{deleted} as _is_deleted, {_bad(checks)} as _bad from ({typed})"
    )


def _text_of(shape: Shape, header: Header, column: str) -> str:
    names = [quoted(name) for name in header.present[column]]
    if column in shape.trimmed:
        # trimming every id would cost more than typing the amounts
        names = [
            f"case when {n} <> '' and (prefix({n}, ' ') or suffix({n}, ' ')) then nullif(trim({n}), '') else {n} end"
            for n in names
        ]
    return names[0] if len(names) == 1 else f"coalesce({', '.join(names)})"


def _value_of(shape: Shape, column: str, place: str) -> str:
    return typed_sql(place, shape.declared.columns[column], shape.form, zone=shape.zone)


def _first(header: Header, *names: str | None) -> str:
    there = [quoted(name) for name in names if name in header.present]
    return f"coalesce({', '.join(there)})" if there else "null"


def _checks(shape: Shape, file: ReadableFile, column: str, place: str, deleted: str) -> list[Check]:
    declared: Column = shape.declared.columns[column]
    checks = []
    if declared.type != "text":
        unfit = misfit_sql(place, quoted(column), declared)
        checks.append(Check(unfit, column, place, reason_for(declared, shape.form)))
    elif file.has_nul:
        checks.append(Check(f"contains({place}, chr(0))", column, place, "contains a NUL byte"))
    if column in shape.declared.key:
        checks.append(Check(f"{place} is null", column, "''", "key column is empty"))
    elif column in shape.declared.required:
        # what is deleted may come without its values
        missing = f"{quoted(column)} is null and coalesce(trim({place}), '') = '' and not {deleted}"
        checks.append(Check(missing, column, "''", "required, but empty"))
    return checks


def _bad(checks: list[Check]) -> str:
    found = ", ".join(
        f"{{'c': {sql_text(check.column)}, 'v': case when {check.condition} then {check.value} end, "
        f"'r': {sql_text(check.reason)}}}"
        for check in checks
    )
    any_of_them = " or ".join(f"({check.condition})" for check in checks)
    return f"case when {any_of_them} then list_filter([{found}], lambda bad: bad.v is not null) end"


def sql_text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def reader_sql(header: Header, file: ReadableFile, *, line_bytes: int = MAX_LINE_BYTES) -> str:
    """A table function call with every column as text; lines that are none go to _reader_errors."""
    if file.path.suffix == ".parquet":
        columns = ", ".join(f"cast({quoted(name)} as varchar) as {quoted(name)}" for name in header.names)
        return f"(select {columns} from read_parquet({sql_text(str(file.path))}))"
    columns = ", ".join(f"{sql_text(name)}: 'varchar'" for name in header.names)
    return (
        f"read_csv({sql_text(str(file.path))}, header = true, auto_detect = false, columns = {{{columns}}}, "
        f"delim = {sql_text(file.delimiter)}, quote = {sql_text(file.quote)}, escape = {sql_text(file.quote)}, "
        f"max_line_size = {line_bytes}, store_rejects = true, "
        "rejects_table = '_reader_errors', rejects_scan = '_reader_scans')"
    )
