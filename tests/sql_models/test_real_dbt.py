"""The same folder under real dbt makes the same tables. Needs `.venv-dbt` (requirements-dbt.lock), or dbt on PATH."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

from dunning_pipeline.dunning.policy_tables import model_variables
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.folder.project import WATERFALLS, load_project
from dunning_pipeline.sql_models.shapes import quoted
from tests.sql_models.conftest import ROOT, RUN_DATE

pytestmark = [pytest.mark.dbt, pytest.mark.slow]


@pytest.fixture(scope="module")
def dbt() -> str:
    own = ROOT / ".venv-dbt" / "bin" / "dbt"
    found = str(own) if own.is_file() else shutil.which("dbt")
    if not found:
        pytest.skip("dbt is not installed: uv venv .venv-dbt && uv pip install -p .venv-dbt -r requirements-dbt.lock")
    return found


@pytest.fixture(scope="module")
def built_by_dbt(dbt: str, demo: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo's warehouse whose models were dropped and built again by `dbt build`."""
    folder = tmp_path_factory.mktemp("dbt")
    warehouse = folder / "warehouse.duckdb"
    shutil.copy(demo.warehouse, warehouse)
    project = load_project(demo.models)
    with duckdb.connect(str(warehouse)) as con:
        variables = {"run_date": RUN_DATE.isoformat(), **model_variables(con)}
        for schema in {model.schema for model in project.models.values()}:
            con.execute(f"drop schema {quoted(schema)} cascade")
    models = folder / "dbt_like_sql"
    shutil.copytree(demo.models, models)
    done = subprocess.run(
        [dbt, "build", "--vars", json.dumps(variables), "--profiles-dir", ".", "--no-use-colors"],
        cwd=models,
        env={**os.environ, "DUNNING_WAREHOUSE": str(warehouse), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return warehouse


def test_every_table_is_identical(built_by_dbt: Path, demo: Workspace) -> None:
    models = [model for model in load_project(demo.models).models.values() if model.file.name != WATERFALLS]
    assert len(models) > 60
    con = duckdb.connect()
    con.execute(f"attach '{demo.warehouse}' as ours (read_only); attach '{built_by_dbt}' as theirs (read_only)")
    for model in models:
        name = f"{quoted(model.schema)}.{quoted(model.name)}"
        shapes = [con.execute(f"describe {catalog}.{name}").fetchall() for catalog in ("ours", "theirs")]
        assert [row[:2] for row in shapes[0]] == [row[:2] for row in shapes[1]], name
        [(more, less)] = con.execute(
            f"select (select count(*) from (from ours.{name} except all from theirs.{name})), "
            f"(select count(*) from (from theirs.{name} except all from ours.{name}))"
        ).fetchall()
        assert (more, less) == (0, 0), f"{name}: {more} rows only here, {less} only under dbt"
    con.close()
