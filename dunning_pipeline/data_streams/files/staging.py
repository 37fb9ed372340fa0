"""Reads one file into a typed staging table in a single DuckDB pass; what does not fit is set aside with its place."""

from datetime import datetime
from pathlib import Path

import duckdb

from dunning_pipeline.data_streams.files.file_text import ReadableFile
from dunning_pipeline.data_streams.files.header import Header
from dunning_pipeline.data_streams.files.staging_sql import Shape, stage_sql
from dunning_pipeline.errors import InvalidInput

STAGE = 'landing."_stage"'


def stage_file(
    con: duckdb.DuckDBPyConnection,
    shape: Shape,
    header: Header,
    file: ReadableFile,
    *,
    original: Path,
    loaded_at: datetime,
) -> int:
    """Fill STAGE from one file; returns the number of good and bad rows in it (rejected lines are not among them).

    Structural rejects are left in the temporary table _reader_errors, bad values in STAGE._bad.
    """
    con.execute(f"drop table if exists {STAGE}")
    con.execute("drop table if exists _reader_errors; drop table if exists _reader_scans")
    try:
        con.execute(stage_sql(shape, header, file, table=STAGE, file_name=original.name, loaded_at=loaded_at))
    except duckdb.Error as error:
        text = str(error).split("\n")[0]
        raise InvalidInput(
            f"cannot be read: {text}", file=original, remedy="look at the file, deliver it again"
        ) from None
    return int(con.execute(f"select count(*) from {STAGE}").fetchone()[0])  # type: ignore[index]
