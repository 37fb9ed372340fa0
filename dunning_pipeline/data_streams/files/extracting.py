"""Stages all files of one extract into one table with unique keys, and sets aside what does not fit."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from dunning_pipeline.data_streams.declaration import StreamSource
from dunning_pipeline.data_streams.files.file_text import ReadableFile, header_of, line_count, readable
from dunning_pipeline.data_streams.files.header import Header, match_header
from dunning_pipeline.data_streams.files.inbox import InboxFile, done_marker
from dunning_pipeline.data_streams.files.line_ends import with_one_line_end
from dunning_pipeline.data_streams.files.rejects import (
    Reject,
    duplicate_rejects,
    keys_of_lines,
    place_lines,
    reader_rejects,
    value_rejects,
)
from dunning_pipeline.data_streams.files.staging import STAGE, stage_file
from dunning_pipeline.data_streams.files.staging_sql import Shape
from dunning_pipeline.data_streams.files.suspicions import refuse_ambiguous_dates, refuse_cut_off, refuse_lost_rows
from dunning_pipeline.data_streams.landing_tables import quoted
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.inserting import insert_rows

EXTRACT = 'landing."_extract"'
KEPT = "_kept_keys"  # keys of rejected rows, as text: their older versions stay


@dataclass
class Extract:
    """What was found in the files of one extract."""

    rows_read: int = 0
    rows_rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)
    has_unknown_keys: bool = False  # of rejected rows
    unknown_columns: set[str] = field(default_factory=set)
    missing_columns: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


@dataclass
class Extraction:
    """The staging of one object's files under way; `run` fills the tables EXTRACT and KEPT."""

    con: duckdb.DuckDBPyConnection
    ws: Workspace
    stream: StreamSource
    name: str
    now: datetime
    found: Extract = field(default_factory=Extract)

    def run(self, files: list[InboxFile]) -> Extract:
        """Raises InvalidInput for a file that cannot be trusted as a whole."""
        columns = ", ".join(f"{quoted(column)} varchar" for column in self._key)
        self.con.execute(f"create or replace temp table {KEPT} ({columns})")
        self.con.execute(f"drop table if exists {EXTRACT}")
        for number, file in enumerate(files):
            self._stage(file)
            if number == 0:
                self.con.execute(f'alter table {STAGE} rename to "_extract"')
            else:
                self._append()
        if len(files) > 1:
            self._keep_newest_per_key()
        return self.found

    @property
    def _key(self) -> tuple[str, ...]:
        return self.stream.objects[self.name].key

    def _stage(self, file: InboxFile) -> None:
        marker = done_marker(file.path)
        _refuse_half_written(file.path, "bytes", file.size, marker.size if marker else None)
        text, header, rows = self._read(file.path)
        structural = reader_rejects(self.con, text, file.path.name)
        if text.encoding == "utf-8" and self._is_auto and self._has_foreign_bytes():
            # the sample was plain ASCII, something later in the file is not UTF-8
            text, header, rows = self._read(file.path, encoding="cp1252")
            structural = reader_rejects(self.con, text, file.path.name)
        refuse_cut_off(file.path, text, structural)
        is_csv = text.path.suffix != ".parquet"
        is_line_per_row = is_csv and line_count(text.path) == rows + len(structural) + 1
        if is_csv and not is_line_per_row:
            refuse_lost_rows(self.con, file.path, text, header, rows=rows)
        refuse_ambiguous_dates(self.con, self.stream, self.name, header, file.path)
        _refuse_half_written(file.path, "rows", rows + len(structural), marker.rows if marker else None)
        self._set_aside(file.path.name, text, header, rows, structural, is_line_per_row=is_line_per_row)
        self.found.unknown_columns.update(header.unknown)
        self.found.missing_columns.update(header.missing)
        if not text.encoding.startswith("utf-8"):
            self.found.notes.append(f"{file.path.name} was read as {text.encoding}")

    @property
    def _is_auto(self) -> bool:
        return self.stream.format_of(self.name).encoding == "auto"

    def _read(self, path: Path, *, encoding: str | None = None) -> tuple[ReadableFile, Header, int]:
        is_csv = path.suffix.lower() != ".parquet"
        if not is_csv:
            text = ReadableFile(path, "utf-8", False, ",", '"')
            names = _parquet_columns(self.con, path)
        else:
            form = self.stream.format_of(self.name)
            text = readable(path, form, self.ws.landing / "converted", encoding=encoding)
            names = header_of(text, path)
        header = match_header(names, self.stream, self.name, path)
        shape = Shape(self.stream, self.name, self.ws.company.time_zone)
        loaded_at = self.now.astimezone(UTC)
        try:
            return text, header, stage_file(self.con, shape, header, text, original=path, loaded_at=loaded_at)
        except InvalidInput:
            alike = with_one_line_end(text, path, self.ws.landing / "converted") if is_csv else None
            if alike is None:
                raise
        self.found.notes.append(f"{path.name} has lines that end in different ways")
        return alike, header, stage_file(self.con, shape, header, alike, original=path, loaded_at=loaded_at)

    def _has_foreign_bytes(self) -> bool:
        known = self.con.execute("select 1 from duckdb_tables() where table_name = '_reader_errors'").fetchone()
        query = "select 1 from _reader_errors where error_type = 'INVALID ENCODING' limit 1"
        return known is not None and self.con.execute(query).fetchone() is not None

    def _set_aside(
        self,
        name: str,
        text: ReadableFile,
        header: Header,
        rows: int,
        structural: list[tuple[Reject, str]],
        *,
        is_line_per_row: bool,
    ) -> None:
        """Move bad rows and older duplicates out of STAGE; remember their keys, places and reasons."""
        broken = [reject for reject, _ in structural]
        bad = [*value_rejects(self.con, name), *duplicate_rejects(self.con, self._key, name)]
        placed = [*broken, *place_lines(bad, broken, text, is_line_per_row=is_line_per_row)]
        self.found.rejects.extend(sorted(placed, key=lambda reject: reject.line or 0))
        columns = ", ".join(f"cast({quoted(column)} as varchar)" for column in self._key)
        self.con.execute(f"insert into {KEPT} select {columns} from {STAGE} where _bad is not null")
        keys = keys_of_lines(structural, header, text, self._key)
        insert_rows(self.con, KEPT, keys or [])
        self.found.has_unknown_keys |= keys is None
        gone = self.con.execute(f"delete from {STAGE} where _bad is not null").fetchone()
        self.con.execute(f"alter table {STAGE} drop column _bad")
        self.found.rows_read += rows + len(structural)
        self.found.rows_rejected += len(structural) + (int(gone[0]) if gone else 0)

    def _append(self) -> None:
        known = {row[0].lower() for row in self.con.execute(f"describe {EXTRACT}").fetchall()}
        for column, data_type, *_ in self.con.execute(f"describe {STAGE}").fetchall():
            if column.lower() not in known:
                self.con.execute(f"alter table {EXTRACT} add column {quoted(column)} {data_type}")
        self.con.execute(f"insert into {EXTRACT} by name select * from {STAGE}")

    def _keep_newest_per_key(self) -> None:
        """Over several files the newest row of a key stays; without a time of change, that of the newest file."""
        keys = ", ".join(quoted(column) for column in self._key)
        ranked = f"row_number() over (partition by {keys} order by _modified_at desc nulls last, rowid desc)"
        query = f"delete from {EXTRACT} where rowid in (select rowid from {EXTRACT} qualify {ranked} > 1)"
        gone = self.con.execute(query).fetchone()
        if gone and gone[0]:
            self.found.notes.append(f"{gone[0]} rows were replaced by newer ones of another file")


def _refuse_half_written(file: Path, unit: str, found: int, declared: int | None) -> None:
    if declared is not None and declared != found:
        raise InvalidInput(
            f"half-written: {found} {unit}, its .done marker declares {declared}",
            file=file,
            remedy="deliver the file again; the previous rows stay until then",
        )


def _parquet_columns(con: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    try:
        rows = con.execute("describe select * from read_parquet(?)", [str(path)]).fetchall()
    except duckdb.Error as error:
        text = str(error).split("\n")[0]
        raise InvalidInput(f"cannot be read: {text}", file=path, remedy="deliver the file again") from None
    return [str(row[0]) for row in rows]
