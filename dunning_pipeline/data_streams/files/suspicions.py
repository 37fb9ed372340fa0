"""Refuses extracts that cannot be trusted as a whole: cut off in the middle, or with dates of two meanings."""

from pathlib import Path

import duckdb

from dunning_pipeline.data_streams.declaration import StreamSource
from dunning_pipeline.data_streams.files.file_text import ReadableFile
from dunning_pipeline.data_streams.files.header import Header
from dunning_pipeline.data_streams.files.rejects import Reject
from dunning_pipeline.data_streams.files.staging import STAGE
from dunning_pipeline.data_streams.files.staging_sql import MAX_LINE_BYTES, reader_sql
from dunning_pipeline.errors import InvalidInput

_SLASHED = r"^\s*[0-9]{1,2}[/.-][0-9]{1,2}[/.-]([0-9]{2}|[0-9]{4})(\s.*)?$"


def refuse_cut_off(file: Path, text: ReadableFile, structural: list[tuple[Reject, str]]) -> None:
    """Raise InvalidInput where the last row stops in the middle: what follows it was never written."""
    if not structural or text.path.suffix in (".gz", ".parquet"):
        return
    reject, line_text = structural[-1]
    ending = line_text.encode("utf-8", "replace").rstrip(b"\r\n")[-60:]
    with text.path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - len(ending) - 4))
        tail = stream.read()
    open_quote = reject.reason.startswith("a quote is opened")
    too_short = reject.reason.endswith("too few columns") and not tail.endswith(b"\n")
    if tail.rstrip(b"\r\n").endswith(ending) and (open_quote or too_short):
        raise InvalidInput(
            "half-written: it ends in the middle of this row",
            file=file,
            line=reject.line,
            value=line_text[:120],
            remedy="deliver the file again; the previous rows stay until then",
        )


def refuse_lost_rows(
    con: duckdb.DuckDBPyConnection, file: Path, text: ReadableFile, header: Header, *, rows: int
) -> None:
    """Raise InvalidInput where a CSV file holds other rows than were read.

    DuckDB 2.0 drops a row without a word where a line ends at certain places of its buffer. A line for each row is
    proof enough and spares this; else a second reading with buffers of another size has to find as many.
    """
    con.execute("drop table if exists _reader_errors; drop table if exists _reader_scans")
    found = con.execute(f"select count(*) from {reader_sql(header, text, line_bytes=2 * MAX_LINE_BYTES)}").fetchone()
    if found and found[0] != rows:
        raise InvalidInput(
            f"two readings of it found {rows} and {found[0]} rows",
            file=file,
            remedy="deliver it again in another size, in parts or as Parquet; the previous rows stay until then",
        )


def refuse_ambiguous_dates(
    con: duckdb.DuckDBPyConnection, stream: StreamSource, name: str, header: Header, file: Path
) -> None:
    """Raise InvalidInput where most values of a date column look like 03/04/2026 and no format is declared."""
    form, columns = stream.format_of(name), stream.objects[name].columns
    for column in header.present:
        declared = columns[column]
        if declared.type not in ("date", "timestamp") or (declared.format or getattr(form, declared.type)) != "iso":
            continue
        found = con.execute(
            f"select count(*), any_value(bad.v) from (select unnest(_bad) as bad from {STAGE} where _bad is not null) "
            f"where bad.c = ? and regexp_matches(bad.v, '{_SLASHED}')",
            [column],
        ).fetchone()
        rows = con.execute(f'select count("{column}") from {STAGE}').fetchone()
        if found and rows and found[0] > rows[0]:
            raise InvalidInput(
                f"column {column} holds dates that could be read as day/month or month/day",
                file=file,
                value=found[1],
                remedy=f"declare it: `{column}: {{type: {declared.type}, format: '%d/%m/%Y'}}` (or %m/%d/%Y)",
            )
