"""Reads an object by its declared SQL query, by ADBC where a driver is there, else by SQLAlchemy; lands as Parquet."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from dunning_pipeline.data_streams.declaration import StreamSource
from dunning_pipeline.data_streams.remote.fetched_pages import new_fetch, watermark
from dunning_pipeline.errors import Busy, InvalidInput
from dunning_pipeline.settings.workspace import Workspace

BATCH_ROWS = 100_000
_ADBC_DRIVERS = {"sqlite": "adbc_driver_sqlite.dbapi", "postgresql": "adbc_driver_postgresql.dbapi"}


def fetch_query(con: duckdb.DuckDBPyConnection, ws: Workspace, stream: StreamSource, name: str, now: datetime) -> Path:
    """A folder with one Parquet file of the query's rows; `{watermark}` in the query is the newest time of change.

    Raises InvalidInput for a missing query or one that the database refuses, Busy where it cannot be reached.
    """
    query = stream.objects[name].query
    if not query:
        raise InvalidInput(f"{stream.source}.{name} declares no `query`", remedy="write the SELECT that reads it")
    since = watermark(con, stream, name)
    query = query.replace("{watermark}", f"'{since:%Y-%m-%d %H:%M:%S}'" if since else "'1900-01-01 00:00:00'")
    folder = new_fetch(ws, stream, name, now)
    url = _url(stream)
    try:
        with _batches(url, query) as (schema, batches), pq.ParquetWriter(folder / f"{name}.parquet", schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    except Exception as error:
        if "connect" in str(error).lower():
            raise Busy(f"{stream.source}: the database cannot be reached: {error}", remedy="try again later") from error
        raise InvalidInput(f"{stream.source}.{name}: the query failed: {error}", value=query[:200]) from error
    return folder


def _url(stream: StreamSource) -> str:
    given = stream.connection or ""
    if given.startswith("env:"):
        given = os.environ.get(given.removeprefix("env:"), "")
    if not given:
        raise InvalidInput(
            f"source {stream.source!r} has no connection", remedy="set `connection: env:NAME` and that variable"
        )
    return given


@contextmanager
def _batches(url: str, query: str) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    driver = _ADBC_DRIVERS.get(url.split(":", 1)[0])
    if driver is None:
        with _by_sqlalchemy(url, query) as found:
            yield found
        return
    from importlib import import_module

    address = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else url
    with import_module(driver).connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        reader = cursor.fetch_record_batch()
        yield reader.schema, iter(reader)


@contextmanager
def _by_sqlalchemy(url: str, query: str) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Any database with a SQLAlchemy driver: values travel as text, the declaration types them."""
    from sqlalchemy import create_engine, text

    with create_engine(url).connect() as connection:
        result = connection.execution_options(stream_results=True).execute(text(query))
        schema = pa.schema([(name, pa.string()) for name in list(result.keys())])

        def batches() -> Iterator[pa.RecordBatch]:
            for rows in result.partitions(BATCH_ROWS):
                columns: list[tuple[Any, ...]] = list(zip(*rows, strict=True))
                texts = [[None if value is None else str(value) for value in column] for column in columns]
                yield pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in texts], schema=schema)

        yield schema, batches()
