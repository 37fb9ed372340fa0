"""The floors of benchmarks.dunning: the same rows and bytes into the same tables, by the driver alone and unguarded."""

import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import Table, create_engine

from dunning_pipeline.ledger.bulk import CHUNK_ROWS, chunks
from dunning_pipeline.ledger.engine import open_ledger, sqlite_file
from dunning_pipeline.ledger.schema import (
    audit,
    decisions,
    metadata,
    number_series,
    postings,
    runs,
    statement_details,
    statements,
)
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.closing import CHUNK_STATEMENTS

Clock = Callable[[], float]
Rows = list[tuple[Any, ...]]
# What closing sets on a draft; the other columns stay.
_CLOSED = (
    "status", "number", "content", "content_sha256", "letter_version", "closed_at", "closed_by", "draft_key",
    "row_version", "updated_at", "updated_by",
)  # fmt: skip
_EMPTY_IN_DRAFTS = ("number", "content", "content_sha256", "letter_version", "closed_at", "closed_by")


def insert_drafts(ws: Workspace, *, clock: Clock) -> float:
    """Seconds in which the driver inserts the drafts of the ledger, their details and decisions, in our chunks."""
    stored = {table.name: all_rows(ws, table) for table in (statements, statement_details, decisions)}
    with _database(ws) as bare:
        started = clock()
        for name, rows in stored.items():
            for chunk in chunks(rows, CHUNK_ROWS * (3 if name == "statement_details" else 1)):
                with bare.transaction():
                    bare.insert(name, chunk)
        return clock() - started


def close_drafts(ws: Workspace, ids: Collection[str], *, clock: Clock) -> float:
    """Seconds in which the driver writes all that closing these statements wrote, in our transactions.

    That is the frozen statement, its postings, its row of the audit and the count of its number series.
    """
    names = [column.name for column in statements.columns]
    rows = [row for row in all_rows(ws, statements) if row[0] in ids]
    rows.sort(key=lambda row: row[names.index("number")])
    posted = _by_statement(ws, postings, "statement_id")
    audited = _by_statement(ws, audit, "object_id")
    [(series, _)] = all_rows(ws, number_series)
    closed = [(*(row[names.index(name)] for name in _CLOSED), row[0]) for row in rows]
    before = {names.index(name): None for name in _EMPTY_IN_DRAFTS}
    before |= {names.index("status"): "draft", names.index("row_version"): 1}
    drafts = [tuple(before.get(i, value) for i, value in enumerate(row)) for row in rows]
    drafts = [(*row[:-1], f"draft of {row[0]}") for row in drafts]  # draft_key, the last column
    with _database(ws) as bare:
        for chunk in chunks(sorted(drafts), CHUNK_ROWS):  # in the order in which a run writes them
            with bare.transaction():
                bare.insert("statements", chunk)
        with bare.transaction():
            bare.insert("number_series", [(series, 0)])
        started = clock()
        for chunk in chunks(closed, CHUNK_STATEMENTS):
            with bare.transaction():
                bare.update("number_series", ("last_number",), "series", [(len(chunk), series)])
                bare.update("statements", _CLOSED, "statement_id", chunk)
                bare.insert("postings", [row for one in chunk for row in posted[one[-1]]])
                bare.insert("audit", [row for one in chunk for row in audited[one[-1]]])
        return clock() - started


def all_rows(ws: Workspace, table: Table) -> Rows:
    """Every row of a table of the ledger as it is stored, by its first column."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    with open_ledger(ws).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(f"select {names} from {table.name} order by 1")]


def _by_statement(ws: Workspace, table: Table, column: str) -> dict[str, Rows]:
    place = [one.name for one in table.columns].index(column)
    rows = sorted(all_rows(ws, table), key=lambda row: (str(row[place]), row[0]))
    return {key: list(some) for key, some in groupby(rows, key=lambda row: row[place])}


class _Database:
    """The ledger's tables and indexes without its guards, driven directly."""

    def __init__(self, con: Any, *, is_sqlite: bool) -> None:
        self._con, self._is_sqlite = con, is_sqlite

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._is_sqlite:
            self._con.execute("begin immediate")
        yield
        self._con.commit()

    def insert(self, table: str, rows: Rows) -> None:
        if self._is_sqlite:
            self._con.executemany(f"insert into {table} values ({', '.join('?' * len(rows[0]))})", rows)
            return
        with self._con.cursor() as cursor, cursor.copy(f"copy {table} from stdin") as copy:
            for row in rows:
                copy.write_row(row)

    def update(self, table: str, columns: Sequence[str], key: str, rows: Rows) -> None:
        mark = "?" if self._is_sqlite else "%s"
        sets = ", ".join(f"{name} = {mark}" for name in columns)
        cursor = self._con.cursor()
        cursor.executemany(f"update {table} set {sets} where {key} = {mark}", rows)


@contextmanager
def _database(ws: Workspace) -> Iterator[_Database]:
    is_sqlite = sqlite_file(ws.ledger_url) is not None
    with tempfile.TemporaryDirectory(dir=ws.root) as folder:
        con = _sqlite(ws, Path(folder) / "bare.sqlite") if is_sqlite else _postgres(ws)
        database = _Database(con, is_sqlite=is_sqlite)
        with database.transaction():
            database.insert("runs", all_rows(ws, runs))
        yield database
        con.close()


def _sqlite(ws: Workspace, file: Path) -> sqlite3.Connection:
    engine = create_engine(f"sqlite:///{file}")
    metadata.create_all(engine)
    engine.dispose()
    con = sqlite3.connect(file, isolation_level=None)
    with open_ledger(ws).connect() as connection:  # the same settings, whatever they are
        for name in ("journal_mode", "synchronous", "foreign_keys", "cache_size", "temp_store"):
            con.execute(f"pragma {name} = {connection.exec_driver_sql(f'pragma {name}').scalar()}")
    return con


def _postgres(ws: Workspace) -> Any:
    import psycopg

    with open_ledger(ws).begin() as connection:
        connection.exec_driver_sql("drop schema if exists bare cascade")
        connection.exec_driver_sql("create schema bare")
        connection.exec_driver_sql("set local search_path to bare")
        metadata.create_all(connection)
    con = psycopg.connect(ws.ledger_url)
    con.execute("set search_path to bare")
    con.commit()
    return con
