"""Writes many rows at once, in transactions of about 2,000, so that webhooks and people never wait long."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table

CHUNK_ROWS = 2_000
Item = TypeVar("Item")


def chunks(items: Iterable[Item], size: int = CHUNK_ROWS) -> Iterator[list[Item]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def insert_stored(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows whose values are already in their stored form (instants and JSON as text), in one statement.

    Goes past SQLAlchemy's value processing to the driver: executemany on SQLite, COPY on PostgreSQL.
    """
    if not rows:
        return
    names = ", ".join(f'"{name}"' for name in columns)
    driver = connection.connection.driver_connection
    assert driver is not None
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        driver.executemany(f"insert into {table.name} ({names}) values ({marks})", rows)
    else:
        with driver.cursor() as cursor, cursor.copy(f"copy {table.name} ({names}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)


def insert_many(engine: Engine, table: Table, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> int:
    """Insert stored rows in chunks, one transaction each; how many. A crash leaves whole chunks."""
    written = 0
    for chunk in chunks(rows):
        with engine.begin() as connection:
            insert_stored(connection, table, columns, chunk)
        written += len(chunk)
    return written
