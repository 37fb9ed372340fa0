"""The one place where the steps run: `Engine` is what the flow needs of a database, `DuckDBEngine` the one of the product."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Protocol

import duckdb

from dunning_pipeline.identity.steps.step import WORK, Step
from dunning_pipeline.sql_models.inserting import insert_rows

FEW_ROWS = 10_000  # are handed over as lists; beyond that Arrow is worth its imports

Observer = Callable[[str, int, float], None]  # table, rows, seconds


class Engine(Protocol):
    def run(self, step: Step) -> int:
        """Make the step's table; its number of rows."""
        ...

    def append(self, step: Step) -> None:
        """Add the rows of the step to its table, which is there and has the same columns."""
        ...

    def rows(self, sql: str) -> list[tuple[Any, ...]]: ...

    def load(self, table: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]) -> None:
        """Make a small table from rows; columns are (name, SQL type)."""
        ...

    def rename(self, table: str, into: str) -> None:
        """Let the table take the place of `into`, in the same schema."""
        ...

    def drop(self, *tables: str) -> None: ...


class DuckDBEngine:
    """Runs steps on a DuckDB connection; `observe` sees each table with its rows and seconds (debugging, benchmarks)."""

    def __init__(self, con: duckdb.DuckDBPyConnection, *, observe: Observer | None = None) -> None:
        self.con = con
        self.observe = observe
        self._clear()
        # tables beside the warehouse's file: what lies between the steps is neither logged nor checkpointed
        con.execute(f"attach ':memory:' as {WORK}")
        self._checkpoints = con.execute("select current_setting('wal_autocheckpoint')").fetchall()[0][0]
        con.execute("set wal_autocheckpoint = '1TB'")  # DuckDB would compress tables that are gone a moment later

    def close(self, *, keep_work: bool = False) -> None:
        """Give up the tables between the steps, unless they are to be looked at."""
        self.con.execute(f"set wal_autocheckpoint = '{self._checkpoints}'")
        if not keep_work:
            self._clear()

    def _clear(self) -> None:
        self.con.execute(f"detach database if exists {WORK}")
        self.con.execute(f"drop schema if exists {WORK} cascade")  # of an earlier version whose run broke off

    def run(self, step: Step) -> int:
        started = perf_counter()
        rows = self.con.execute(f"create or replace table {step.table} as {step.sql}").fetchall()[0][0]
        if self.observe:
            self.observe(step.table, rows, perf_counter() - started)
        return int(rows)

    def append(self, step: Step) -> None:
        self.con.execute(f"insert into {step.table} {step.sql}")

    def show(self, view: Step) -> None:
        """Make a view; a table of that name, as earlier versions had it, gives way."""
        schema, _, name = view.table.partition(".")
        if self.rows(f"select 1 from duckdb_tables() where schema_name = '{schema}' and table_name = '{name}'"):
            self.con.execute(f"drop table {view.table}")
        self.con.execute(f"create or replace view {view.table} as {view.sql}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.con.execute(sql).fetchall()

    def load(self, table: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]) -> None:
        declared = ", ".join(f"{name} {kind}" for name, kind in columns)
        self.con.execute(f"create or replace table {table} ({declared})")
        if len(rows) <= FEW_ROWS:
            insert_rows(self.con, table, rows)
            return
        import pyarrow as pa

        names = [name for name, _ in columns]
        arrays = [pa.array(list(values)) for values in zip(*rows, strict=True)]
        self.con.register("loaded_rows", pa.table(dict(zip(names, arrays, strict=True))))
        self.con.execute(f"insert into {table} select * from loaded_rows")
        self.con.unregister("loaded_rows")

    def rename(self, table: str, into: str) -> None:
        self.drop(into)
        self.con.execute(f"alter table {table} rename to {into.rpartition('.')[2]}")

    def drop(self, *tables: str) -> None:
        for table in tables:
            self.con.execute(f"drop table if exists {table}")
