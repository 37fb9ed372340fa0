"""Opens the ledger: SQLite (WAL, full sync) below the state folder, or PostgreSQL by URL; migrated before first use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger.schema import RUNNING, one_running
from dunning_pipeline.settings.workspace import Workspace

BUSY_TIMEOUT_MS = 30_000
_CACHE_KIB = 65_536  # a chunk of statements touches 20 indexes: in SQLite's 2 MB they push each other out
_KEPT_OPEN = 16  # a process serves one workspace; tests open hundreds
_opened: dict[tuple[str, int], tuple[Engine, tuple[int, int] | None]] = {}  # with the file that it has open
_opening = RLock()


def open_ledger(ws: Workspace) -> Engine:
    """The ledger of a workspace, created and migrated where needed; one engine per URL and process.

    `engine.begin()` is a writing transaction: on SQLite it takes the write lock at once (BEGIN IMMEDIATE, waits up
    to 30 s), so that what it reads is what it changes. Reads go through `reading(engine)` and never wait for writers.
    """
    return open_ledger_url(ws.ledger_url)


def open_ledger_url(url: str) -> Engine:
    """The ledger behind a SQLAlchemy URL (sqlite:///file or postgresql://…); raises InvalidInput for another kind."""
    from dunning_pipeline.ledger.migrating import migrate

    file = sqlite_file(url)
    key = (_with_driver(url), os.getpid())  # a forked child must not share its parent's connections
    with _opening:
        if key in _opened and _opened[key][1] != _inode(file):
            dispose(url)  # moved away, or a backup took its place: what runs on must not write into the former one
        if key not in _opened:
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
            engine = _engine(key[0])
            migrate(engine)
            _opened[key] = engine, _inode(file)
            if len(_opened) > _KEPT_OPEN:
                _opened.pop(next(iter(_opened)))[0].dispose()
        return _opened[key][0]


def revision_of(url: str) -> str | None:
    """The revision that a ledger is at, without bringing it to this release's; None where there is none yet."""
    from dunning_pipeline.ledger.migrating import current_revision

    file = sqlite_file(url)
    if file is not None and not file.exists():
        return None
    engine = _engine(_with_driver(url))
    try:
        return current_revision(engine)
    finally:
        engine.dispose()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read-only transaction with one consistent view; on SQLite it takes no write lock."""
    # begun at once: a query that goes straight to the driver would begin without what _begin_postgres says
    with engine.connect().execution_options(ledger_reads=True) as connection, connection.begin():
        yield connection


def dispose(url: str) -> None:
    """Close the connections of a ledger before its file is replaced; a no-op where none is open."""
    opened = _opened.pop((_with_driver(url), os.getpid()), None)
    if opened is not None:
        opened[0].dispose()


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None for PostgreSQL."""
    parsed = make_url(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def _inode(file: Path | None) -> tuple[int, int] | None:
    """Which file stands under the name now; None for PostgreSQL and where there is none."""
    try:
        found = file.stat() if file is not None else None
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino) if found is not None else None


def _with_driver(url: str) -> str:
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return url
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    raise InvalidInput(
        f"a ledger lives in SQLite or PostgreSQL, not in {backend}",
        remedy="set DUNNING_LEDGER_URL to sqlite:///… or postgresql://…",
    )


def _engine(url: str) -> Engine:
    if sqlite_file(url) is not None:
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = create_engine(url, pool_pre_ping=True)
        one_running.dialect_kwargs["postgresql_where"] = RUNNING
        event.listen(engine, "begin", _begin_postgres)
    return engine


def _prepare_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # we begin our transactions ourselves, see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute(f"pragma busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("pragma journal_mode = wal")
    cursor.execute("pragma synchronous = full")
    cursor.execute("pragma foreign_keys = on")
    cursor.execute(f"pragma cache_size = -{_CACHE_KIB}")
    cursor.execute("pragma temp_store = memory")  # a guarded write keeps the pages it may have to undo: not in files
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("ledger_reads")
    driver = connection.connection.driver_connection  # SQLAlchemy's way to it takes longer than the beginning
    assert driver is not None
    driver.execute("begin" if reads else "begin immediate")


def _begin_postgres(connection: Connection) -> None:
    if connection.get_execution_options().get("ledger_reads"):
        connection.exec_driver_sql("set transaction isolation level repeatable read read only")
