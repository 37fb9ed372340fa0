"""Where `assets/dagster.yaml` has Dagster keep its events: its own SQLite files, with connections that stay open.

Dagster makes a new engine and connection for each of the one to four transactions of an event, so compiles each
statement anew, waits for the disk at each commit, and closing copies the write-ahead log into the file: together more
than half of its overhead in a build of a hundred models. Here a commit does not wait: should the machine lose power,
the last events may be missing. What was sent or booked is in the ledger, not in this log.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event

KEPT_ENGINES = 32


class EventLog(SqliteEventLogStorage):
    """The files that Dagster itself would use below `base_dir`: going back to its own class loses nothing.

    Were the overridden method to be renamed in Dagster, everything would work as before, only slower.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> "EventLog":
        return cls(str(Path(config_value["base_dir"]) / "history" / "runs"), inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard not in self._engines:
                if len(self._engines) >= KEPT_ENGINES:  # each run has a file of its own
                    for engine in self._engines.values():
                        engine.dispose()
                    self._engines.clear()
                self._engines[shard] = _engine(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                self._initdb(self._engines[shard])
                self._initialized_dbs.add(shard)
            with self._engines[shard].begin() as connection:
                yield connection


def _engine(file: str) -> Engine:
    engine = create_engine(file, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.execute("pragma synchronous = normal")

    return engine
