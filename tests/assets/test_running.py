"""Runs in an ephemeral instance: what is materialised, what a broken file or row looks like, and the day as one."""

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import select

from assets.definitions import build_definitions
from assets.event_log import EventLog
from dunning_pipeline.campaigns.steering import pause
from dunning_pipeline.delivery.switches import switch_on
from dunning_pipeline.delivery.working.resolving import resolve_by_person
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.schema import findings, sends, statements
from dunning_pipeline.settings.workspace import Workspace
from tests.campaigns.conftest import NOW, TODAY

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def defs(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    monkeypatch.setenv("DUNNING_WORKSPACE", str(company.root))
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())
    return build_definitions(company)


def run(defs: dg.Definitions, job: str, *, only: list[str] | None = None, **options: Any) -> Any:
    keys = [dg.AssetKey(key.split("/")) for key in only] if only else None
    with dg.DagsterInstance.ephemeral() as instance:
        return defs.resolve_job_def(job).execute_in_process(
            instance=instance, asset_selection=keys, raise_on_error=False, **options
        )


def checks(result: Any) -> dict[tuple[str, str], Any]:
    return {(c.asset_key.to_user_string(), c.check_name): c for c in result.get_asset_check_evaluations()}


def materialised(result: Any) -> dict[str, Any]:
    events = result.get_asset_materialization_events()
    return {e.asset_key.to_user_string(): e.materialization.metadata for e in events}


@pytest.mark.slow
def test_some_segments_can_be_built_alone_and_a_broken_one_fails_alone(
    company: Workspace, defs: dg.Definitions
) -> None:
    file = company.models / "segments" / "overdue_31_60.sql"
    file.write_text(file.read_text().replace("unified_account_id", "unified_acount_id"))
    result = run(defs, "build", only=["segments/overdue_1_30", "segments/overdue_31_60", "serving/snapshot"])
    assert result.success  # the others are published
    shown = materialised(result)
    assert set(shown) == {"segments/overdue_1_30", "serving/snapshot"}
    assert shown["segments/overdue_1_30"]["dagster/row_count"].value == 4
    assert "unified_account_id" in shown["segments/overdue_1_30"]["first rows"].value
    lineage = shown["segments/overdue_1_30"]["dagster/column_lineage"].value
    assert lineage.deps_by_column["unified_account_id"]
    told = checks(result)
    assert told["segments/overdue_1_30", "its_tests"].passed
    broken = told["segments/overdue_31_60", "its_tests"]
    assert not broken.passed
    assert f"{file}:" in broken.description and "unified_acount_id" in broken.description
    every = told["serving/snapshot", "every_model_builds"]
    assert (every.passed, every.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "segments.overdue_31_60" in every.metadata["broken"].value and f"{file}:" in every.metadata["broken"].value


def test_the_build_says_which_campaign_file_has_a_mistake(company: Workspace, defs: dg.Definitions) -> None:
    file = company.policies / "campaigns" / "typo.yaml"
    file.write_text("campaign: typo\nsegment: nowhere\nflow: message\ntemplate: payment_thanks\n")
    result = run(defs, "build", only=["segments/overdue_1_30", "serving/snapshot"])
    assert result.success and "serving/snapshot" in materialised(result)
    told = checks(result)["serving/snapshot", "every_campaign_file_is_right"]
    assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.ERROR)
    shown = told.metadata["mistakes"].value
    assert f"{file}:2:1" in shown and "there is no segment 'nowhere'" in shown and "dunning segment list" in shown


def test_the_tests_of_a_model_are_one_check_that_shows_the_failing_rows(
    company: Workspace, defs: dg.Definitions
) -> None:
    file = company.models / "segments" / "overdue_1_30.sql"
    file.write_text(f"select * from ({file.read_text()}) union all select * from ({file.read_text()})")
    told = checks(run(defs, "build", only=["segments/overdue_1_30", "serving/snapshot"]))[
        "segments/overdue_1_30", "its_tests"
    ]
    assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "| unique_overdue_1_30_unified_account_id | error | 4 |" in told.metadata["tests"].value
    assert "row_count" in told.metadata["unique_overdue_1_30_unified_account_id"].value


def test_the_events_lie_where_dagsters_own_class_finds_them(
    company: Workspace, defs: dg.Definitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(ROOT / "assets" / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        result = defs.resolve_job_def("send").execute_in_process(instance=instance)
        ours = instance.event_log_storage.get_logs_for_run(result.run_id)
        seen = instance.get_latest_materialization_event(dg.AssetKey(["delivery", "sent_messages"]))
    theirs = SqliteEventLogStorage(str(tmp_path / "history" / "runs")).get_logs_for_run(result.run_id)
    assert result.success and seen is not None and seen.run_id == result.run_id
    assert [entry.to_json() for entry in ours] == [entry.to_json() for entry in theirs]


def test_rejected_rows_are_a_warning_with_the_rows(company: Workspace, defs: dg.Definitions) -> None:
    file = company.inbox / "salesforce" / "Invoice.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines, lines[-1].replace("i-quiet", "i-bad").replace("250.00", "2x0")]) + "\n")
    result = run(defs, "ingest")
    check = checks(result)["data_streams/salesforce/Invoice", "every_row_was_read"]
    assert result.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "2x0" in check.metadata["first rows"].value
    assert materialised(result)["data_streams/salesforce/Invoice"]["dagster/row_count"].value == 6


@pytest.mark.slow
def test_a_run_of_one_date_proposes_closes_queues_and_sends_what_is_due(
    company: Workspace, defs: dg.Definitions
) -> None:
    day = TODAY.isoformat()
    proposed = run(defs, "dunning_run", partition_key=day)
    assert proposed.success
    shown = materialised(proposed)["dunning_run/proposed_statements"]
    assert "level" in shown["statements"].value and "data:image/png" in shown["chart"].value
    assert run(defs, "close", partition_key=day).success
    assert run(defs, "send").success
    with reading(open_ledger(company)) as connection:
        assert connection.scalars(select(sends.c.status)).all() == ["queued"] * 5  # nine o'clock: not before three
    at_once = {"ops": {"delivery__sent_messages": {"config": {"at_once": True}}}}
    sent = run(defs, "send", run_config=at_once)
    assert materialised(sent)["delivery/sent_messages"]["sent"].value == 5
    assert run(defs, "close", partition_key=day).success
    assert materialised(run(defs, "send", run_config=at_once))["delivery/sent_messages"]["sent"].value == 0


def test_a_run_without_a_date_decides_nothing_and_says_how_to_choose_one(
    company: Workspace, defs: dg.Definitions
) -> None:
    result = run(defs, "dunning_run")
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "no dunning date was chosen" in failure.event_specific_data.error.message
    with reading(open_ledger(company)) as connection:
        assert connection.scalars(select(statements.c.statement_id)).all() == []


def test_that_sending_is_stopped_is_no_green_check(company: Workspace, defs: dg.Definitions) -> None:
    with open_ledger(company).begin() as connection:
        switch_on(connection, "stop", actor="t", reason="wrong prices", at=NOW)
    told = checks(run(defs, "send"))["delivery/sent_messages", "nothing_needs_a_person"]
    assert not told.passed and "wrong prices" in told.description


@pytest.mark.slow
def test_a_backfill_of_past_days_reminds_nobody_of_the_same_again(company: Workspace, defs: dg.Definitions) -> None:
    days = [(TODAY - timedelta(days=ago)).isoformat() for ago in (3, 2, 1)]
    for day in days:
        proposed = run(defs, "dunning_run", partition_key=day)
        assert proposed.success == (day == days[0])  # what left today is unsaid as of the day after the first
        assert run(defs, "close", partition_key=day).success
        assert run(defs, "send", run_config={"ops": {"delivery__sent_messages": {"config": {"at_once": True}}}}).success
    (failure,) = [event for event in proposed.all_events if event.is_step_failure]
    assert f"is before {TODAY}, when reminders left" in failure.event_specific_data.error.message
    with reading(open_ledger(company)) as connection:
        assert set(connection.scalars(select(statements.c.dunning_date))) == {date.fromisoformat(days[0])}
        assert connection.scalar(select(sends.c.status).limit(1)) == "sent"


@pytest.mark.slow
def test_what_a_killed_run_left_in_doubt_is_told_until_it_is_settled(company: Workspace, defs: dg.Definitions) -> None:
    assert run(defs, "dunning_run", partition_key=TODAY.isoformat()).success
    assert run(defs, "close", partition_key=TODAY.isoformat()).success
    flying = {"status": "in_flight", "phase": "leaving", "claimed_by": "elsewhere:1:gone", "claimed_at": NOW}
    with open_ledger(company).begin() as connection:
        key = connection.scalar(select(sends.c.send_key).where(sends.c.channel == "email").limit(1))
        connection.execute(sends.update().where(sends.c.send_key == key).values(attempts=1, **flying))
    taken_back = run(defs, "send")
    shown = materialised(taken_back)["delivery/sent_messages"]["taken back from a run that died"].value
    assert shown == {"queued": 0, "sent": 0, "unknown": 1}
    for result in (taken_back, run(defs, "send")):
        told = checks(result)["delivery/sent_messages", "nothing_needs_a_person"]
        assert not told.passed and "1 may or may not have left: `dunning send resolve KEY" in told.description
    resolve_by_person(company, key, was_sent=True, now=NOW, actor="t")
    assert checks(run(defs, "send"))["delivery/sent_messages", "nothing_needs_a_person"].passed


def test_the_form_narrows_a_run(company: Workspace, defs: dg.Definitions) -> None:
    form = {"ops": {"dunning_run__proposed_statements": {"config": {"account": "salesforce:alpha"}}}}
    assert run(defs, "dunning_run", partition_key=TODAY.isoformat(), run_config=form).success
    with reading(open_ledger(company)) as connection:
        assert connection.scalars(select(statements.c.account_id)).all() == ["alpha"]


def test_a_campaign_is_run_from_its_form_and_shown_as_its_asset(company: Workspace, defs: dg.Definitions) -> None:
    form = {"ops": {"run_campaign": {"config": {"campaign": "upcoming-due-dates"}}}}
    result = run(defs, "campaign", run_config=form)
    assert result.success
    assert "campaigns/upcoming-due-dates" in materialised(result)


def test_what_is_refused_is_not_tried_a_second_time(
    company: Workspace, defs: dg.Definitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(ROOT / "assets" / "dagster.yaml", tmp_path)
    pause(company, "upcoming-due-dates", now=NOW, actor="t")

    def is_tried_again(job: str, **config: Any) -> bool:
        with dg.DagsterInstance.get() as instance:
            options = {"run_config": {"ops": {"run_campaign": {"config": config}}}} if config else {}
            failed = defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **options)
            return bool(instance.get_run_by_id(failed.run_id).tags["dagster/will_retry"] == "true")

    assert not is_tried_again("dunning_run")  # without a dunning date
    assert not is_tried_again("campaign", campaign="upcoming-due-dates")  # it is paused
    monkeypatch.setenv("DUNNING_LEDGER_URL", "postgresql+psycopg://127.0.0.1:1/away")
    assert is_tried_again("send")


def test_a_failed_run_becomes_a_finding(company: Workspace, defs: dg.Definitions) -> None:
    sensor = next(s for s in defs.get_repository_def().sensor_defs if s.name == "run_failed")
    with dg.DagsterInstance.ephemeral() as instance:
        form = {"ops": {"run_campaign": {"config": {"campaign": "unheard-of"}}}}
        result = defs.resolve_job_def("campaign").execute_in_process(
            instance=instance, raise_on_error=False, run_config=form
        )
        failure = next(e for e in result.all_events if e.event_type_value == "PIPELINE_FAILURE")
        context = dg.build_run_status_sensor_context("run_failed", failure, instance, result.dagster_run)
        sensor(context.for_run_failure())
    with reading(open_ledger(company)) as connection:
        row = connection.execute(select(findings).where(findings.c.kind == "run_failed")).one()
    assert (row.object_id, row.severity) == ("campaign", "error")
    assert row.message.startswith("the job campaign failed: there is no such campaign (value: 'unheard-of')")


def test_the_finding_of_a_failed_run_ends_with_the_next_that_succeeds(company: Workspace, defs: dg.Definitions) -> None:
    at = {"severity": "error", "at": NOW, "message": "it failed"}
    with open_ledger(company).begin() as connection:
        for job in ("send", "build"):
            raise_finding(connection, kind="run_failed", object_kind="job", object_id=job, **at)
    sensor = next(s for s in defs.get_repository_def().sensor_defs if s.name == "run_succeeded")
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("send").execute_in_process(instance=instance)
        success = next(e for e in result.all_events if e.event_type_value == "PIPELINE_SUCCESS")
        sensor(dg.build_run_status_sensor_context("run_succeeded", success, instance, result.dagster_run))
    with reading(open_ledger(company)) as connection:
        failed = select(findings.c.object_id).where(findings.c.kind == "run_failed", findings.c.status == "open")
        assert connection.scalars(failed).all() == ["build"]


def test_the_finding_of_a_killed_run_says_what_happened(company: Workspace, defs: dg.Definitions) -> None:
    sensor = next(s for s in defs.get_repository_def().sensor_defs if s.name == "run_failed")
    job = defs.resolve_job_def("send")
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(job)
        instance.report_run_failed(run)  # what Dagster's monitoring does when the process is gone
        failure = instance.all_logs(run.run_id)[-1].get_dagster_event()
        context = dg.build_run_status_sensor_context("run_failed", failure, instance, run)
        sensor(context.for_run_failure())
    with reading(open_ledger(company)) as connection:
        message = connection.scalar(select(findings.c.message).where(findings.c.kind == "run_failed"))
    assert message == (
        "the job send failed: its process ended without a word: killed, out of memory, or the machine restarted"
    )


def test_a_run_in_which_no_process_could_decide_is_red(company: Workspace, defs: dg.Definitions) -> None:
    assert run(defs, "dunning_run", partition_key=TODAY.isoformat()).success
    assert run(defs, "close", partition_key=TODAY.isoformat()).success
    before = (TODAY - timedelta(days=1)).isoformat()
    result = run(defs, "dunning_run", partition_key=before)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "nothing was decided" in failure.event_specific_data.error.message
    assert f"a run dated {before} is before the last closed run" in failure.event_specific_data.error.message
