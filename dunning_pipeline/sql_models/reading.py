"""Rows for notebooks and other readers: what was published, as polars, pandas or Arrow, read-only."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.folder.templating import did_you_mean
from dunning_pipeline.sql_models.snapshot import open_snapshot

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow


class Rows:
    """A result held as an Arrow table: `.arrow()`, `.pl()`, `.df()`, `.rows()`; len() is the number of rows."""

    def __init__(self, table: "pyarrow.Table") -> None:
        self._table = table

    @property
    def columns(self) -> list[str]:
        return list(self._table.column_names)

    def arrow(self) -> "pyarrow.Table":
        return self._table

    def pl(self) -> "polars.DataFrame":
        import polars

        frame = polars.from_arrow(self._table)
        assert isinstance(frame, polars.DataFrame)
        return frame

    def df(self) -> "pandas.DataFrame":
        return self._table.to_pandas()

    def rows(self) -> list[dict[str, Any]]:
        """One dict per row with Python values: Decimal, date, datetime."""
        return self._table.to_pylist()

    def __len__(self) -> int:
        return self._table.num_rows

    def __repr__(self) -> str:
        return f"Rows({len(self)} x {self.columns})"


def read_query(workspace: Workspace, sql: str, parameters: Sequence[Any] = ()) -> Rows:
    """Rows of a SELECT on the published snapshot; raises NotThere before the first build."""
    con = open_snapshot(workspace)
    try:
        return Rows(con.sql(sql, params=list(parameters) or None).to_arrow_table())
    finally:
        con.close()


def read_model(workspace: Workspace, name: str) -> Rows:
    """Rows of a published model: "invoices" or, where that is not clear, "data_model.invoices".

    Raises NotThere with the nearest name for one that is not published.
    """
    con = open_snapshot(workspace)
    try:
        tables = con.execute("select table_schema, table_name from information_schema.tables order by all").fetchall()
        found = [(schema, table) for schema, table in tables if name in (table, f"{schema}.{table}")]
        if not found:
            known = [table for _, table in tables] + [f"{schema}.{table}" for schema, table in tables]
            raise NotThere(
                f"no published model {name!r}", remedy=did_you_mean(name, known, "`dunning build` says what is built")
            )
        schema, table = found[0]
        return Rows(con.sql(f'from "{schema}"."{table}"').to_arrow_table())
    finally:
        con.close()
