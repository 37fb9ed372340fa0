"""Small projects of SQL models that a test writes itself, and one build of the whole demo for tests that only read."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models import building
from dunning_pipeline.sql_models.building import BuildReport, build
from dunning_pipeline.sql_models.snapshot import open_snapshot
from dunning_pipeline.sql_models.warehouse import open_warehouse
from tests.conftest import copy_shipped

ROOT = Path(__file__).resolve().parents[2]
RUN_DATE = date(2025, 11, 3)
NOW = datetime(2025, 11, 3, 2, 0, tzinfo=UTC)

PROJECT = "name: small\nmodel-paths: [data_model, unified, segments, reports]\n"
SOURCES = "sources:\n  - name: mapped\n    tables: [{name: orders}]\n"


@dataclass
class Small:
    """A workspace with the models that a test writes; the streams bring `mapped.orders(id, amount, placed_on)`."""

    workspace: Workspace
    rows: list[tuple[object, object, object]] = field(default_factory=lambda: [(1, "10.00", "2025-11-01")])

    def write(self, path: str, text: str) -> Path:
        file = self.workspace.models / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def build(self, **options: object) -> BuildReport:
        return build(self.workspace, run_date=RUN_DATE, now=NOW, **options)

    def rows_of(self, table: str) -> list[tuple[object, ...]]:
        with open_warehouse(self.workspace) as con:
            return con.execute(f"select * from {table} order by all").fetchall()

    def published(self, table: str) -> list[tuple[object, ...]]:
        con = open_snapshot(self.workspace)
        try:
            return con.execute(f"select * from {table} order by all").fetchall()
        finally:
            con.close()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """The other rooms' steps are replaced: only `mapped.orders` comes in, and one profile per order."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    world = Small(Workspace(tmp_path))
    world.write("dbt_project.yml", PROJECT)
    world.write("data_model/sources.yml", SOURCES)
    shutil.copytree(ROOT / "dbt_like_sql" / "macros", world.workspace.models / "macros")

    def bring_in(work: building._Build) -> None:
        work.con.execute("create schema if not exists mapped; create schema if not exists checks")
        work.con.execute("create or replace table mapped.orders (id integer, amount varchar, placed_on varchar)")
        if world.rows:
            work.con.executemany("insert into mapped.orders values (?, ?, ?)", world.rows)

    monkeypatch.setattr(building._Build, "bring_in", bring_in)
    monkeypatch.setattr(building._Build, "resolve_identity", lambda work, after: None)
    return world


@pytest.fixture(scope="session")
def demo(made_once: Callable[[Callable[[Path], None]], Path]) -> Workspace:
    """The generated company, ingested and built once; tests only read it."""
    return Workspace(made_once(_build_demo))


def _build_demo(root: Path) -> None:
    from dunning_pipeline.data_streams import ingest
    from dunning_pipeline.demo.inbox import write_inbox

    copy_shipped(root)
    workspace = Workspace(root)
    write_inbox(root / "inbox", today=RUN_DATE, seed=7)
    ingest(workspace, now=NOW)
    report = build(workspace, run_date=RUN_DATE, now=NOW)
    assert report.failed == [], [model.error for model in report.models if model.error]


@pytest.fixture
def snapshot(demo: Workspace) -> Iterator[duckdb.DuckDBPyConnection]:
    con = open_snapshot(demo)
    yield con
    con.close()
