"""Writes and reads many rows at once, in transactions of about 2,000, so that webhooks and people never wait long."""

import gc
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache, lru_cache
from itertools import islice
from typing import Any, TypeVar

import orjson
from sqlalchemy import Boolean, Connection, Date, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite

from dunning_pipeline.ledger.types import Instant, Json

CHUNK_ROWS = 2_000
Item = TypeVar("Item")


def chunks(items: Iterable[Item], size: int = CHUNK_ROWS) -> Iterator[list[Item]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's search for cycles while one chunk is worked on: plain rows have none, and it would look at all
    of them dozens of times (a tenth of closing). What has no cycle is freed as ever.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def insert_stored(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows whose values are already in their stored form (instants and JSON as text), in one statement.

    Goes past SQLAlchemy's value processing to the driver: executemany on SQLite, COPY on PostgreSQL.
    """
    if rows:
        _fill(connection, table.name, columns, rows)


def _fill(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    driver = connection.connection.driver_connection
    assert driver is not None
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        driver.executemany(f"insert into {table} ({names}) values ({marks})", rows)
    else:
        with driver.cursor() as cursor, cursor.copy(f"copy {table} ({names}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)


def update_stored(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    *,
    key: str,
    also: str | None = None,
) -> None:
    """Set `columns` of many rows, each given as (key, value of each column) in stored form; `also` is set in all.

    The rows go aside first and are joined in one update: a guard keeps the pages that a statement touches until it
    ends, so one statement per row keeps the same pages again and again (SQLite: a third more time).
    """
    if not rows:
        return
    is_sqlite = connection.dialect.name == "sqlite"
    names = ", ".join(f'"{name}"' for name in (key, *columns))
    connection.exec_driver_sql(
        f"create temporary table updated_rows {'' if is_sqlite else 'on commit drop'} "
        f"as select {names} from {table.name} limit 0"
    )
    _fill(connection, "updated_rows", (key, *columns), rows)
    sets = ", ".join([f'"{name}" = u."{name}"' for name in columns] + ([also] if also else []))
    connection.exec_driver_sql(
        f'update {table.name} set {sets} from updated_rows u where {table.name}."{key}" = u."{key}"'
    )
    connection.exec_driver_sql("drop table updated_rows")


def insert_many(engine: Engine, table: Table, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> int:
    """Insert stored rows in chunks, one transaction each; how many. A crash leaves whole chunks."""
    written = 0
    for chunk in chunks(rows):
        with engine.begin() as connection:
            insert_stored(connection, table, columns, chunk)
        written += len(chunk)
    return written


def write_stored(connection: Connection, sql: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Run one statement for all rows; how many rows of the table it changed.

    `sql` reads them where it says {told}, each value in its stored form by `told.value ->> 'name'` (a text).
    """
    if not rows:
        return 0
    told = "json_each(?) as told" if connection.dialect.name == "sqlite" else "jsonb_array_elements(%s) as told(value)"
    driver = connection.connection.driver_connection  # past SQLAlchemy: for a few rows it costs more than they do
    assert driver is not None
    changed: int = driver.execute(sql.replace("{told}", told), (orjson.dumps(rows).decode(),)).rowcount
    return changed


def insert_unless_there(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Insert the rows whose keys are not there; the new primary keys. Waits for who inserts the same now."""
    return list(connection.execute(_unless_there(table, connection.dialect.name), rows).scalars())


@cache
def _unless_there(table: Table, dialect: str) -> Any:
    insert = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    return insert.on_conflict_do_nothing().returning(*table.primary_key)


def lock_rows(connection: Connection, table: Table, *, key: str, values: Collection[str]) -> None:
    """Keep others from changing these rows until this transaction ends: what is read of them now is the newest.

    Waits for whoever changes one now. Only PostgreSQL needs it: on SQLite a writing transaction has the whole ledger.
    """
    if values and connection.dialect.name != "sqlite":
        driver = connection.connection.driver_connection
        assert driver is not None
        # in a fixed order, so that two who want the same rows never wait for each other crosswise
        driver.execute(
            f'select 1 from {table.name} where "{key}" = any(%s) order by "{key}" for update', (list(values),)
        )


def read_many(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    *,
    key: str,
    values: Sequence[str],
    where: str = "true",
    order_by: str | None = None,
    lock: bool = False,
) -> list[dict[str, Any]]:
    """Rows whose column `key` is one of `values` and that fit `where` (SQL), as SQLAlchemy gives them, in one query.

    One prepared statement for any number of values; `lock` keeps the rows for this transaction (PostgreSQL; on SQLite
    a writing transaction has the whole ledger).
    """
    is_sqlite = connection.dialect.name == "sqlite"
    among = "in (select value from json_each(?))" if is_sqlite else "= any(%s)"
    names = ", ".join(f'"{name}"' for name in columns)
    sql = f'select {names} from {table.name} where "{key}" {among} and {where}'
    if order_by is not None:
        sql += f" order by {order_by}"
    if lock and not is_sqlite:
        sql += " for update"
    asked = orjson.dumps(list(values)).decode() if is_sqlite else list(values)
    driver = connection.connection.driver_connection  # SQLAlchemy's rows would cost as much as reading them
    assert driver is not None
    rows = [dict(zip(columns, row)) for row in driver.execute(sql, (asked,)).fetchall()]  # noqa: B905
    for name, decode in _decoders(table, tuple(columns), is_sqlite):
        for row in rows:
            if (value := row[name]) is not None:
                row[name] = decode(value)
    return rows


@lru_cache(maxsize=128)
def _decoders(table: Table, columns: Sequence[str], is_sqlite: bool) -> list[tuple[str, Callable[[Any], Any]]]:
    """What brings the stored values of these columns into Python's types."""
    found: list[tuple[str, Callable[[Any], Any]]] = []
    for name in columns:
        kind = table.c[name].type
        if isinstance(kind, Json):
            found.append((name, orjson.loads))
        elif isinstance(kind, Instant):
            found.append((name, datetime.fromisoformat))
        elif is_sqlite and isinstance(kind, Date):
            found.append((name, date.fromisoformat))
        elif is_sqlite and isinstance(kind, Boolean):
            found.append((name, bool))
    return found
