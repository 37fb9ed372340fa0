"""Facts for tests: data model tables written straight into a database or a published snapshot, without any ingest."""

from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from ruamel.yaml import YAML

from dunning_pipeline.settings.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]


@cache
def declared_columns() -> dict[str, dict[str, str]]:
    """Model → column → type, as the data model declares them."""
    declared = YAML(typ="safe").load((ROOT / "dbt_like_sql/data_model/schema.yml").read_text())
    return {m["name"]: {c["name"]: c["data_type"] for c in m["columns"]} for m in declared["models"]}


class Facts:
    """Rows of data model tables, by key; the last row of a key counts."""

    def __init__(self) -> None:
        self.columns = declared_columns()
        self.rows: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in self.columns}

    def put(self, model: str, **values: Any) -> None:
        """Add or replace a row; the first column of the model is its key, `source` defaults to salesforce."""
        unknown = set(values) - set(self.columns[model])
        assert not unknown, f"{model} has no columns {unknown}"
        if "source" in self.columns[model]:
            values.setdefault("source", "salesforce")
        key = values[next(iter(self.columns[model]))]
        known = self.rows[model].get(key, {})
        self.rows[model][key] = {**known, **values}

    def remove(self, model: str, key: str) -> None:
        del self.rows[model][key]

    def write(self, con: duckdb.DuckDBPyConnection, schema: str = "data_model") -> None:
        """Create every table of the data model in `con`, typed as declared."""
        con.execute(f"create schema if not exists {schema}")
        for model, columns in self.columns.items():
            typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            con.execute(f"create or replace table {schema}.{model} ({typed})")
            rows = [[row.get(name) for name in columns] for row in self.rows[model].values()]
            if rows:
                con.executemany(f"insert into {schema}.{model} values ({', '.join('?' * len(columns))})", rows)

    def publish(self, ws: Workspace, name: str) -> Path:
        """Write the facts as the newest published snapshot of a workspace."""
        ws.serving.mkdir(parents=True, exist_ok=True)
        file = ws.serving / f"{name}.duckdb"
        file.unlink(missing_ok=True)
        with duckdb.connect(str(file)) as con:
            self.write(con)
        (ws.serving / "current").write_text(file.name + "\n")
        return file
