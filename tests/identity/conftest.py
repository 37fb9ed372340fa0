"""A small world for identity tests: data_model tables in memory, filled with the few columns that a test names."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from ruamel.yaml import YAML

from dunning_pipeline.identity import ResolveReport, resolve
from dunning_pipeline.identity.rulesets import Ruleset, load_ruleset

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2025, 11, 3, 2, 0, tzinfo=UTC)
KEYS = {"accounts": "account", "contacts": "contact", "individuals": "individual"}


@cache
def declared_columns() -> dict[str, dict[str, str]]:
    """Table → column → type, as the data model declares them; read once for all tests."""
    schema = YAML(typ="safe").load((ROOT / "dbt_like_sql/data_model/schema.yml").read_text(encoding="utf-8"))
    return {m["name"]: {c["name"]: c["data_type"] for c in m["columns"]} for m in schema["models"] if m["name"] in KEYS}


@cache
def shipped_rulesets() -> dict[str, Ruleset]:
    return {kind: load_ruleset(ROOT / "policies" / "identity", kind) for kind in ("account", "individual")}


class Parties:
    """Accounts, contacts and individuals as data_model tables; `resolve()` runs the real thing on them."""

    def __init__(self) -> None:
        self.con = duckdb.connect()
        self.con.execute("set timezone = 'UTC'; set threads = 1; create schema data_model")
        self.columns = declared_columns()
        for table, columns in self.columns.items():
            self.con.execute(f"create table data_model.{table} ({', '.join(f'{n} {t}' for n, t in columns.items())})")
        self.rulesets = dict(shipped_rulesets())  # a test may replace one of its own
        self.runs = 0

    def account(self, key: str, **values: Any) -> None:
        self.add("accounts", [{"key": key, **values}])

    def contact(self, key: str, **values: Any) -> None:
        self.add("contacts", [{"key": key, **values}])

    def individual(self, key: str, **values: Any) -> None:
        self.add("individuals", [{"key": key, **values}])

    def add(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows with `key` = source:id (source crm where it has no colon)."""
        stem, known = KEYS[table], self.columns[table]
        for row in rows:
            full = row["key"] if ":" in row["key"] else f"crm:{row['key']}"
            values = {f"{stem}_key": full, "source": full.split(":")[0], f"{stem}_id": full.split(":", 1)[1]}
            values |= {name: value for name, value in row.items() if name != "key"}
            assert set(values) <= set(known), set(values) - set(known)
            marks = ", ".join("?" * len(values))
            self.con.execute(
                f"insert into data_model.{table} ({', '.join(values)}) values ({marks})", list(values.values())
            )

    def remove(self, table: str, key: str) -> None:
        self.con.execute(
            f"delete from data_model.{table} where {KEYS[table]}_key = ?", [key if ":" in key else f"crm:{key}"]
        )

    def resolve(
        self, *, ledger: Any = None, rulesets: dict[str, Ruleset] | None = None, now: datetime = NOW
    ) -> ResolveReport:
        self.runs += 1
        return resolve(
            self.con,
            None,
            run_id=f"run-{self.runs}",
            now=now,
            ledger=ledger,
            rulesets=rulesets or self.rulesets,
            processes=1,
        )

    def profiles(self, kind: str = "individual") -> list[list[str]]:
        """Record keys (without `crm:`) per profile."""
        rows = self.con.execute(
            f"select list_sort(list(record_key)) from identity.{kind}_links group by unified_{kind}_id order by 1"
        ).fetchall()
        return [[key.removeprefix("crm:") for key in row[0]] for row in rows]

    def ids(self, kind: str = "individual") -> dict[str, str]:
        rows = self.con.execute(f"select record_key, unified_{kind}_id from identity.{kind}_links").fetchall()
        return {key.removeprefix("crm:"): unified for key, unified in rows}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.con.execute(sql).fetchall()


@pytest.fixture
def parties() -> Parties:
    return Parties()
