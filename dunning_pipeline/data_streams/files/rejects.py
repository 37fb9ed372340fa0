"""Sets rejected rows aside: file, line, column, value and reason, in landing._rejects and one CSV per object."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import duckdb

from dunning_pipeline.data_streams.declaration import StreamSource, table_name
from dunning_pipeline.data_streams.files.file_text import ReadableFile, opened_bytes
from dunning_pipeline.data_streams.files.header import Header
from dunning_pipeline.data_streams.files.staging import STAGE
from dunning_pipeline.data_streams.landing_tables import quoted
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.spreadsheets import safe_cell
from dunning_pipeline.sql_models.inserting import insert_rows

_VALUE_LENGTH = 500
FIRST_RECORD = 2  # of a file, behind the header; rows of STAGE are in the order of the file, from 0
_REASONS = {
    "MISSING COLUMNS": "the row has too few columns",
    "TOO MANY COLUMNS": "the row has too many columns",
    "UNQUOTED VALUE": "a quote is opened or closed in the wrong place",
    "LINE SIZE OVER MAXIMUM": "the row is longer than 16 MB",
    "INVALID ENCODING": "the row is not valid UTF-8",
    "INVALID STATE": "the row is not valid CSV",
}


class Reject(NamedTuple):
    file: str
    line: int | None
    column: str | None
    value: str | None
    reason: str


def reader_rejects(con: duckdb.DuckDBPyConnection, file: ReadableFile, name: str) -> list[tuple[Reject, str]]:
    """Rows that DuckDB could not split into columns, one per physical line, each with the line's text."""
    if not con.execute("select 1 from duckdb_tables() where table_name = '_reader_errors'").fetchall():
        return []
    rows = con.execute(
        "select line_byte_position, any_value(error_type), any_value(column_name), any_value(csv_line), "
        "any_value(error_message) from _reader_errors group by line_byte_position order by line_byte_position"
    ).fetchall()
    # the reader counts records; a person counts line breaks
    lines = _lines_at([int(row[0]) for row in rows], file)
    found = []
    for line, (_, kind, column, text, message) in zip(lines, rows, strict=True):
        reason = _REASONS.get(str(kind), str(message))
        row = (text or "").strip("\r\n")  # with \r\n between lines the reader begins a row with the \n before it
        found.append((Reject(name, line, column, row[:_VALUE_LENGTH], reason), row))
    return found


def _lines_at(positions: list[int], file: ReadableFile) -> list[int]:
    lines: list[int] = []
    line, read = 1, 0
    if not positions:
        return lines
    with opened_bytes(file.path) as stream:
        for position in positions:
            while read < position:
                chunk = stream.read(min(1 << 20, position - read))
                if not chunk:
                    break
                line, read = line + chunk.count(b"\n"), read + len(chunk)
            lines.append(line)
    return lines


def value_rejects(con: duckdb.DuckDBPyConnection, file: str) -> list[Reject]:
    """One entry per value that did not fit its column; `line` is counted in records until `place_lines`."""
    rows = con.execute(
        f"select record + {FIRST_RECORD}, bad.c, bad.v, bad.r "
        f"from (select rowid as record, unnest(_bad) as bad from {STAGE} where _bad is not null) order by record"
    ).fetchall()
    return [Reject(file, int(line), column, value[:_VALUE_LENGTH], reason) for line, column, value, reason in rows]


def duplicate_rejects(con: duckdb.DuckDBPyConnection, key: tuple[str, ...], file: str) -> list[Reject]:
    """Mark all but the newest row of each key in STAGE as bad, and say so."""
    keys = ", ".join(quoted(column) for column in key)
    # sorting hashes is a quarter of the work of grouping them; two keys of one hash only cost the second look
    hashes = con.execute(f"select hash({keys}) as key_hash from {STAGE} where _bad is null").fetchnumpy()["key_hash"]
    hashes.sort()
    if not (hashes[1:] == hashes[:-1]).any():
        return []
    shown = " || '|' || ".join(f"cast({quoted(column)} as varchar)" for column in key)
    rows = con.execute(
        f"select rowid, {shown} from {STAGE} where _bad is null and "
        f"({keys}) in (select ({keys}) from {STAGE} where _bad is null group by {keys} having count(*) > 1) "
        f"window newest as (partition by {keys} order by _modified_at desc nulls last, rowid desc) "
        "qualify row_number() over newest > 1 order by rowid"
    ).fetchall()
    con.execute(f"update {STAGE} set _bad = [] where rowid in (select unnest(?))", [[row[0] for row in rows]])
    column = "+".join(key)
    return [
        Reject(file, int(row[0]) + FIRST_RECORD, column, str(row[1]), "duplicate key: another row of the file is newer")
        for row in rows
    ]


def place_lines(
    rejects: list[Reject], broken: list[Reject], file: ReadableFile, *, is_line_per_row: bool
) -> list[Reject]:
    """Turn record numbers into the file's physical lines; `broken` are the lines that were not counted as records."""
    if not rejects or file.path.suffix == ".parquet":
        return rejects
    skipped = sorted(reject.line or 0 for reject in broken)
    wanted = sorted({reject.line or 0 for reject in rejects})
    lines = _counted(wanted, skipped) if is_line_per_row else _read(wanted, skipped, file)
    return [reject._replace(line=lines.get(reject.line or 0, reject.line)) for reject in rejects]


def _counted(wanted: list[int], skipped: list[int]) -> dict[int, int]:
    lines, passed = {}, 0
    for record in wanted:
        while passed < len(skipped) and skipped[passed] <= record + passed:
            passed += 1
        lines[record] = record + passed
    return lines


def _read(wanted: list[int], skipped: list[int], file: ReadableFile) -> dict[int, int]:
    """With line breaks inside quotes or blank lines, only reading tells where a record begins."""
    csv.field_size_limit(1 << 28)
    lines: dict[int, int] = {}
    places, gone, record, start = set(wanted), set(skipped), 1, 1
    with opened_bytes(file.path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        reader = csv.reader((line.replace("\0", "") for line in text), delimiter=file.delimiter, quotechar=file.quote)
        for row in reader:
            if row and start not in gone:
                if record in places:
                    lines[record] = start
                    if len(lines) == len(places):
                        break
                record += 1
            start = reader.line_num + 1
    return lines


def write_rejects(
    con: duckdb.DuckDBPyConnection, ws: Workspace, stream: StreamSource, name: str, rejects: list[Reject]
) -> Path | None:
    """Replace the object's rejects in landing._rejects and in its CSV; returns the CSV, None where there is none."""
    con.execute(
        "create table if not exists landing._rejects (source varchar, object varchar, file varchar, line bigint, "
        "column_name varchar, value varchar, reason varchar)"
    )
    con.execute("delete from landing._rejects where source = ? and object = ?", [stream.source, name])
    target = ws.rejects / f"{table_name(stream.source, name)}.csv"
    if not rejects:
        target.unlink(missing_ok=True)
        return None
    insert_rows(con, "landing._rejects", [(stream.source, name, *reject) for reject in rejects])
    ws.rejects.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("file", "line", "column", "value", "reason"))
        writer.writerows(map(safe_cell, reject) for reject in rejects)
    return target


def keys_of_lines(
    structural: list[tuple[Reject, str]], header: Header, file: ReadableFile, key: tuple[str, ...]
) -> list[tuple[str, ...]] | None:
    """Keys of rows that could not be read, so that their older versions stay; None where one cannot be told."""
    places = [header.names.index(header.present[column][0]) for column in key]
    keys = []
    for _, text in structural:
        row = next(csv.reader([text.replace("\0", "")], delimiter=file.delimiter, quotechar=file.quote), [])
        if len(row) <= max(places) or not all(row[place].strip() for place in places):
            return None
        keys.append(tuple(row[place].strip() for place in places))
    return keys
