"""What Dagster shows: the graph as it was meant, all of it explained, schedules and sensors asking for right runs."""

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.definitions import build_definitions
from assets.sensors import file_drop
from assets.tables import as_markdown
from dunning_pipeline.campaigns.occurrences import occurrence_name
from dunning_pipeline.campaigns.steering import pause, resume
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.schema import campaign_occurrences
from dunning_pipeline.settings.workspace import Workspace
from tests.assets.graph import SNAPSHOT, graph_text
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    from tests.assets.graph import shipped_workspace

    return build_definitions(shipped_workspace(tmp_path_factory.mktemp("shipped")))


def test_the_asset_graph_is_the_one_that_was_looked_at(workspace: Workspace) -> None:
    renew = "python -m tests.assets.graph > tests/assets/asset_graph.txt"
    assert graph_text(workspace) == SNAPSHOT.read_text(), f"if the change is meant: {renew}"


def test_every_asset_says_what_it_is(shipped: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(shipped)
    for spec in shipped.resolve_all_asset_specs():
        assert spec.description and len(spec.description) > 20, spec.key
        assert spec.group_name not in (None, "default"), spec.key
        assert spec.kinds, spec.key


def test_every_sql_file_is_an_asset_with_its_text_and_owner(shipped: dg.Definitions) -> None:
    specs = {tuple(spec.key.path): spec for spec in shipped.resolve_all_asset_specs()}
    segment = specs["segments", "overdue_1_30"]
    assert segment.owners == ["team:collections"]
    assert "```sql" in (segment.description or "") and "select" in (segment.description or "")
    accounts = specs["data_model", "accounts"]
    assert {dep.asset_key.to_user_string() for dep in accounts.deps} >= {"data_streams/salesforce/Account"}
    columns = accounts.metadata["dagster/column_schema"].columns
    assert {"account_key", "name"} <= {column.name for column in columns}


def test_there_is_a_job_for_each_thing_a_person_would_launch(shipped: dg.Definitions) -> None:
    names = {job.name for job in shipped.get_repository_def().get_all_jobs()}
    assert {"ingest", "build", "ingest_and_build", "dunning_run", "close", "send", "campaign", "daily"} <= names


def test_it_loads_in_a_fresh_process(workspace: Workspace) -> None:
    script = (
        "import assets.definitions as d; print(len(list(d.build_definitions(d.workspace()).resolve_all_asset_specs())))"
    )
    environment = {**os.environ, "DUNNING_WORKSPACE": str(workspace.root)}
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert int(told.stdout) > 60
    assert "Warning" not in told.stderr


@pytest.mark.parametrize(
    ("tick", "day"),
    [
        ("2025-11-03T03:00:00+01:00", "2025-11-03"),
        ("2025-10-26T03:00:00+01:00", "2025-10-26"),
        ("2025-06-30T03:00:00+02:00", "2025-06-30"),
    ],
)
def test_the_daily_schedule_asks_for_the_day_of_its_tick(shipped: dg.Definitions, tick: str, day: str) -> None:
    schedule = shipped.get_repository_def().get_schedule_def("every_day")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 3 * * *", "Europe/Berlin")
    (request,) = requests(shipped, "every_day", tick)
    assert (request.partition_key, request.run_key) == (day, f"daily:{day}")


def requests(defs: dg.Definitions, name: str, tick: str) -> list[dg.RunRequest]:
    repository = defs.get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance, scheduled_execution_time=datetime.fromisoformat(tick), repository_def=repository
        )
        return list(repository.get_schedule_def(name).evaluate_tick(context).run_requests or [])


def test_a_campaign_file_makes_its_schedule(workspace: Workspace) -> None:
    folder = workspace.policies / "campaigns"
    for file in (folder / "examples").glob("*.yaml"):
        (folder / file.name).write_text(file.read_text())
    defs = build_definitions(workspace)
    schedules = {s.name: s for s in defs.get_repository_def().schedule_defs}
    monthly = schedules["campaign_monthly_overdue"]
    assert (monthly.cron_schedule, monthly.execution_timezone) == ("0 3 * * 1-5", "Europe/Berlin")
    assert monthly.job_name == "campaign_monthly_overdue"  # a finding of its failed run names it
    (request,) = requests(defs, monthly.name, "2025-11-03T03:00:00+01:00")
    assert request.tags["dunning/occurrence"] == "2025-11-03T02:00:00Z"
    once = schedules["campaign_collection_round"]
    assert once.cron_schedule == "0 9 1 12 *"
    assert len(requests(defs, once.name, "2026-12-01T09:00:00+01:00")) == 1
    assert requests(defs, once.name, "2027-12-01T09:00:00+01:00") == []


def test_a_paused_campaign_is_skipped_by_its_schedule(workspace: Workspace) -> None:
    folder = workspace.policies / "campaigns"
    shutil.copy(folder / "examples" / "monthly-overdue.yaml", folder)
    defs, now = build_definitions(workspace), datetime.fromisoformat("2025-11-02T09:00:00+01:00")
    pause(workspace, "monthly-overdue", now=now, actor="anna")
    assert requests(defs, "campaign_monthly_overdue", "2025-11-03T03:00:00+01:00") == []
    resume(workspace, "monthly-overdue", now=now, actor="anna")
    assert len(requests(defs, "campaign_monthly_overdue", "2025-11-03T03:00:00+01:00")) == 1


def test_an_hour_moved_after_the_days_run_is_the_next_days(workspace: Workspace) -> None:
    folder = workspace.policies / "campaigns"
    shutil.copy(folder / "examples" / "monthly-overdue.yaml", folder)
    defs, ran = build_definitions(workspace), datetime.fromisoformat("2025-11-03T01:00:00+00:00")
    former = {"schedule": {"cron": "0 2 * * 1", "timezone": "Europe/Berlin"}}
    told = {"campaign": "monthly-overdue", "occurrence": occurrence_name(ran), "planned_for": ran, "status": "done"}
    with open_ledger(workspace).begin() as connection:
        connection.execute(campaign_occurrences.insert().values(**told, definition=former, created_by="daily"))
    assert requests(defs, "campaign_monthly_overdue", "2025-11-03T03:00:00+01:00") == []
    assert len(requests(defs, "campaign_monthly_overdue", "2025-11-04T03:00:00+01:00")) == 1


BROKEN = {
    "plan-follow-up.yaml": "campaign: plan-follow-up\nsegment: nowhere\nflow: message\ntemplate: payment_thanks\n",
    "torn (copy).yaml": "campaign: [\n",
    "upcoming_due_dates.yaml": "campaign: upcoming_due_dates\nsegment: nearly_due\n",
    "upcoming-due-dates.yml": "",
}


def test_a_mistyped_campaign_file_takes_nothing_else_away(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    folder = workspace.policies / "campaigns"
    shutil.copy(folder / "examples" / "monthly-overdue.yaml", folder)
    for name, text in BROKEN.items():
        (folder / name).write_text(text)
    defs = build_definitions(workspace)
    dg.Definitions.validate_loadable(defs)
    repository = defs.get_repository_def()
    assert {"every_day", "campaign_monthly_overdue"} <= {one.name for one in repository.schedule_defs}
    specs = {spec.key.path[-1]: spec for spec in defs.resolve_all_asset_specs() if spec.group_name == "campaigns"}
    assert "dunning/broken" not in {**specs["monthly-overdue"].tags, **specs["upcoming-due-dates"].tags}
    broken = {name: spec for name, spec in specs.items() if "dunning/broken" in spec.tags}
    assert len(broken) == len(BROKEN)
    told = "there is no segment 'nowhere'"
    assert f"{folder / 'plan-follow-up.yaml'}:2:1: {told}" in str(broken["plan-follow-up"].description)
    assert "plan-follow-up.yaml" in caplog.text and told in caplog.text
    failed = dg.materialize([_asset(defs, broken["plan-follow-up"].key)], raise_on_error=False)
    (why,) = [event.step_failure_data.user_failure_data for event in failed.get_step_failure_events()]
    assert why is not None and "plan-follow-up.yaml:2:1" in why.description and "→" in why.description


def test_a_broken_model_says_its_mistake_where_it_is_shown(workspace: Workspace) -> None:
    file = workspace.models / "segments" / "chronic_late.sql"
    file.write_text("select unified_account_id from {{ ref('nowhere') }}\n")
    specs = {spec.key.path[-1]: spec for spec in build_definitions(workspace).resolve_all_asset_specs()}
    spec = specs["chronic_late"]
    assert f"{file}:1:" in str(spec.description) and "nowhere" in str(spec.description)


def test_models_in_a_circle_leave_the_schedules(workspace: Workspace) -> None:
    for one, other in (("here", "there"), ("there", "here")):
        (workspace.models / "segments" / f"{one}.sql").write_text(f"select * from {{{{ ref('{other}') }}}}\n")
    defs = build_definitions(workspace)
    dg.Definitions.validate_loadable(defs)
    shown = _asset(defs, dg.AssetKey(["serving", "snapshot"])).specs_by_key[dg.AssetKey(["serving", "snapshot"])]
    assert "in a circle" in str(shown.description)


def test_a_torn_file_beside_the_models_leaves_the_schedules_and_makes_the_day_red(workspace: Workspace) -> None:
    file, campaigns = workspace.models / "segments" / "waterfalls.yml", workspace.policies / "campaigns"
    shutil.copy(campaigns / "examples" / "monthly-overdue.yaml", campaigns)
    text = "campaign: calls\nwaterfall: collection_priority\nflow: message\ntemplate: payment_thanks\n"
    (campaigns / "calls.yaml").write_text(text)
    file.write_text("waterfalls: [\n")
    defs = build_definitions(workspace)
    dg.Definitions.validate_loadable(defs)
    specs = {spec.key.path[-1]: spec for spec in defs.resolve_all_asset_specs() if spec.group_name == "campaigns"}
    assert "dunning/broken" not in specs["monthly-overdue"].tags and "dunning/broken" in specs["calls"].tags
    assert f"{file}:2:1" in str(specs["calls"].description)
    assert {"every_day", "every_quarter_hour", "campaign_monthly_overdue"} <= {
        one.name for one in defs.get_repository_def().schedule_defs
    }
    assert "delivery/sent_messages" in {
        key.to_user_string() for key in defs.resolve_job_def("daily").asset_layer.executable_asset_keys
    }
    failed = dg.materialize([_asset(defs, dg.AssetKey(["serving", "snapshot"]))], raise_on_error=False)
    (why,) = [event.step_failure_data.user_failure_data for event in failed.get_step_failure_events()]
    assert why is not None and f"{file}:2:1" in why.description and "→" in why.description


def _asset(defs: dg.Definitions, key: dg.AssetKey) -> dg.AssetsDefinition:
    return next(one for one in defs.assets or () if isinstance(one, dg.AssetsDefinition) and key in one.keys)


def test_a_dropped_file_is_read_once_it_has_arrived(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_WORKSPACE", str(workspace.root))
    sensor = file_drop()
    cursor: str | None = None

    def look() -> list[dg.RunRequest]:
        nonlocal cursor
        context = dg.build_sensor_context(cursor=cursor)
        result = sensor.evaluate_tick(context)
        cursor = result.cursor
        return list(result.run_requests or [])

    assert look() == []
    (workspace.inbox / "salesforce").mkdir()
    file = workspace.inbox / "salesforce" / "Account.csv"
    file.write_text("Id,Name\n")
    assert look() == []  # it may still be growing
    file.write_text("Id,Name\n1,A\n")
    assert look() == []
    assert len(look()) == 1
    assert look() == []
    assert json.loads(cursor or "{}")["launched"]


def test_shown_rows_hide_addresses_and_numbers() -> None:
    text = as_markdown(
        [{"name": "A | B", "note": "to eva.klein@kunde.example", "mobile_phone": "+49 176 1", "amount": 5}], masked=True
    )
    assert "eva.klein" not in text and "176" not in text
    assert "A \\| B" in text and "ev•••@kunde.example" in text and "| 5 |" in text


def test_dagster_yaml_is_one_that_dagster_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text((ROOT / "assets" / "dagster.yaml").read_text())
    instance = dg.DagsterInstance.from_config(str(tmp_path))
    assert not instance.telemetry_enabled and not instance.nux_enabled
