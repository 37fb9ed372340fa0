"""`dunning build`, `graph`, `report`: what they print and how they exit."""

import json

from typer.testing import CliRunner

from dunning_pipeline.cli.main import app
from dunning_pipeline.settings.workspace import Workspace
from tests.sql_models.conftest import Small

RUN = CliRunner()


def invoke(workspace: Workspace, *arguments: str):
    return RUN.invoke(app, ["--workspace", str(workspace.root), *arguments])


def test_build_lists_its_models_and_exits_1_when_one_failed(small: Small) -> None:
    small.write("data_model/orders.sql", "-- Orders.\nselect id from {{ source('mapped', 'orders') }}\n")
    done = invoke(small.workspace, "build", "--date", "2025-11-03", "--format", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["failed"] == [] and told["run_date"] == "2025-11-03" and told["snapshot"].endswith(".duckdb")
    assert [(model["model"], model["status"], model["rows"]) for model in told["models"]] == [
        ("data_model.orders", "built", 1)
    ]
    small.write("segments/wrong.sql", "-- Wrong.\nselect id from {{ ref('orders') }}\n")
    failed = invoke(small.workspace, "build", "--date", "2025-11-03")
    assert failed.exit_code == 1 and "a segment yields unified_account_id" in failed.stdout.replace("\n", " ")


def test_report_ageing_prints_one_object_per_currency_and_bucket(demo: Workspace) -> None:
    done = invoke(demo, "report", "ageing", "--date", "2025-11-03", "--buckets", "30,60", "--format", "json")
    rows = json.loads(done.stdout)
    assert done.exit_code == 0 and set(rows[0]) == {"currency", "from_days", "to_days", "items", "amount"}
    assert [(row["from_days"], row["to_days"]) for row in rows[:4]] == [(None, None), (1, 30), (31, 60), (61, None)]
    for name in ("recovery", "delivery"):
        assert invoke(demo, "report", name).exit_code == 0


def test_graph_show_prints_the_documents_of_an_account(demo: Workspace) -> None:
    key = demo.model("account_graphs").rows()[0]["account_key"]
    documents = json.loads(invoke(demo, "graph", "show", key).stdout)
    assert {document["account_key"] for document in documents} == {key}
    assert documents[0]["company"]["name"] == demo.company.name
