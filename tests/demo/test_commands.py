"""The first commands of a stranger: demo twice, a workspace of one's own, what the doctor says, the day on bad data."""

import json
import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dunning_pipeline import daily
from dunning_pipeline.cli.main import app
from dunning_pipeline.demo.report import tell
from dunning_pipeline.examination import examine
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.folder.shipped import note_shipped

NINE = "2025-11-03T09:00:00+01:00"


def dunning(*arguments: str, workspace: Workspace, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dunning_pipeline.cli.main", *arguments],
        env={**os.environ, "DUNNING_WORKSPACE": str(workspace.root), **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_the_demo_sends_and_the_second_run_of_the_day_sends_nothing(workspace: Workspace) -> None:
    first = dunning("demo", workspace=workspace)
    assert first.returncode == 0, first.stderr + first.stdout
    for word in (
        "read",
        "rejected",
        "unified",
        "segmented",
        "proposed",
        "closed",
        "sent",
        "held back",
        "explain",
        "console",
    ):
        assert word in first.stdout
    assert f"DUNNING_WORKSPACE={workspace.root} make dagster" in " ".join(first.stdout.split())
    sent = {file.name for file in workspace.outbox.glob("*.json")}
    assert len(sent) > 50
    second = dunning("demo", workspace=workspace)
    assert second.returncode == 0, second.stderr
    assert "sent already" in second.stdout
    assert {file.name for file in workspace.outbox.glob("*.json")} == sent
    told = dunning("doctor", "--format", "json", workspace=workspace, DUNNING_NOW=NINE)
    assert told.returncode == 0, told.stdout


def test_the_demo_never_touches_somebody_elses_inbox(workspace: Workspace) -> None:
    folder = workspace.inbox / "salesforce"
    folder.mkdir()
    (folder / "Account.csv").write_text("Id,Name\n1,Mine\n")
    told = dunning("demo", workspace=workspace)
    assert told.returncode == 1
    assert "did not make" in told.stderr and "dunning init" in told.stderr
    assert [file.name for file in folder.iterdir()] == ["Account.csv"]
    assert not workspace.state.exists()


def test_a_date_that_is_none_is_a_usage_error(workspace: Workspace) -> None:
    assert dunning("demo", "--date", "soon", workspace=workspace).returncode == 2


def test_init_makes_a_workspace_and_overwrites_nothing(tmp_path: Path) -> None:
    run = CliRunner().invoke
    folder = tmp_path / "mine"
    assert run(app, ["init", str(folder)]).exit_code == 0
    ws = Workspace(folder)
    assert ws.company.name and (ws.models / "dbt_project.yml").is_file() and ws.templates.is_dir()
    assert (ws.models / ".shipped.json").is_file()
    company = ws.policies / "company.yaml"
    company.write_text("mine")
    assert run(app, ["init", str(folder)]).exit_code != 0
    assert company.read_text() == "mine"


def test_the_doctor_names_what_is_wrong_and_goes_on(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_MAIL", "sendgrid")
    (workspace.policies / "processes" / "standard.yaml").write_text("process: standard\nlevels: []\n")
    now = datetime.fromisoformat(NINE)
    found = {(one.what, one.state): one for one in examine(workspace, now=now)}
    assert ("processes", "error") in found and "standard.yaml" in found["processes", "error"].remedy
    assert found["mail", "error"].remedy == "set SENDGRID_API_KEY"
    assert ("models", "ok") in found and ("inbox", "warning") in found and ("snapshot", "warning") in found
    assert not workspace.state.exists(), "looking makes no state"


def test_the_doctor_tells_of_a_ruleset_that_stops_the_build(workspace: Workspace) -> None:
    file = workspace.policies / "identity" / "accounts.yaml"
    file.write_text(file.read_text().replace("merge_tiers:", "merge_teirs:"))
    found = [one for one in examine(workspace, now=datetime.fromisoformat(NINE)) if one.what == "identity"]
    assert [one.state for one in found] == ["error", "ok"]
    assert found[0].text == "unknown key 'merge_teirs'; did you mean 'merge_tiers'?"
    assert found[0].remedy.startswith(f"{file}:6:1") and found[1].text.startswith("individuals by ")


@pytest.mark.parametrize(
    ("now", "state"),
    [
        ("2025-11-03T09:00:00+01:00", "ok"),
        ("2025-12-31T23:00:00+01:00", "info"),
        ("2026-01-01T00:30:00+01:00", "warning"),
    ],
)
def test_the_doctor_says_when_the_rates_of_a_law_run_out(workspace: Workspace, now: str, state: str) -> None:
    found = [
        one for one in examine(workspace, now=datetime.fromisoformat(now)) if one.what == "laws" and "EU" in one.text
    ]
    assert [(one.state, "2025-12-31" in one.text) for one in found] == [(state, True)]
    assert ("dunning law import EU" in found[0].remedy) == (state != "ok")


def test_the_doctor_says_which_models_are_of_another_version(workspace: Workspace) -> None:
    def said() -> dict[str, str]:
        found = examine(workspace, now=datetime.fromisoformat(NINE))
        return {one.state: one.text for one in found if one.what == "models" and one.remedy}

    assert said() == {}
    (workspace.models / "dunning" / "credit_totals.sql").unlink()
    items = workspace.models / "dunning" / "open_credits.sql"
    items.write_text(items.read_text() + "-- mine\n")
    segment = next((workspace.models / "segments").glob("*.sql"))
    segment.write_text("select 1")
    told = said()
    assert "dunning/credit_totals.sql" in told["warning"]
    assert told["info"].startswith("1 are not as") and "dunning/open_credits.sql" in told["info"]


def made_by_an_earlier_version(ws: Workspace, monkeypatch: pytest.MonkeyPatch, file: str) -> Path:
    """A workspace that a version made which brought this model otherwise."""
    model = ws.models / file
    model.write_text(model.read_text() + "-- as it was\n")
    with monkeypatch.context() as earlier:
        earlier.setattr("dunning_pipeline.sql_models.folder.shipped.shipped_folder", lambda: ws.root)
        note_shipped(ws.models)
    return model


def test_the_doctor_tells_older_models_from_edited_ones(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def said() -> list[tuple[str, str]]:
        found = examine(workspace, now=datetime.fromisoformat(NINE))
        return [(one.state, one.text) for one in found if one.what == "models" and one.remedy]

    model = made_by_an_earlier_version(workspace, monkeypatch, "dunning/open_credits.sql")
    assert said() == [("warning", "1 are as an earlier version brought them, and unedited: dunning/open_credits.sql")]
    model.write_text(model.read_text() + "-- mine\n")
    assert said() == [("info", "1 are not as this version brings them, edited or older: dunning/open_credits.sql")]


@pytest.mark.slow
def test_a_day_with_models_of_an_older_version_names_those_that_lack(workspace: Workspace) -> None:
    (workspace.models / "dunning" / "proposed_statements.sql").unlink()  # read by the program, by no other model
    now = datetime.fromisoformat("2025-11-03T03:00+01:00")
    report = daily.daily(workspace, date=now.date(), now=now)
    assert not report.is_complete
    assert [problem for problem in report.problems if problem.startswith("nothing was decided")] == [
        "nothing was decided: dbt_like_sql is older than this version and lacks dunning/proposed_statements.sql\n"
        "  → copy them, and what they read, from a fresh `dunning init FOLDER`; `dunning doctor` names what differs"
    ]


@pytest.mark.slow
def test_a_day_that_models_of_an_older_version_can_decide_says_that_they_did(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_by_an_earlier_version(workspace, monkeypatch, "dunning/open_credits.sql")
    (workspace.models / "reports" / "campaign_effect.sql").unlink()  # read by nothing else
    now = datetime.fromisoformat("2025-11-03T03:00+01:00")
    report = daily.daily(workspace, date=now.date(), now=now)
    assert report.is_complete
    assert [problem.partition("\n")[0] for problem in report.problems if "version" in problem] == [
        "decided with the models of an earlier version: dbt_like_sql is older than this version and lacks "
        "reports/campaign_effect.sql and keeps 1 models that nobody edited"
    ]


def test_the_doctor_tells_of_a_ledger_that_cannot_be_opened(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUNNING_LEDGER_URL", f"sqlite:///{workspace.inbox}")
    found = examine(workspace, now=datetime.fromisoformat("2025-11-03T03:00+01:00"))
    assert [(one.state, one.text) for one in found if one.what == "ledger"] == [
        ("error", "the ledger's file cannot be opened")
    ]


def test_the_doctor_exits_1_only_for_what_keeps_it_from_working(workspace: Workspace) -> None:
    told = dunning("doctor", "--format", "json", workspace=workspace)
    assert told.returncode == 0, told.stdout
    assert {"what", "state", "text", "remedy"} == set(json.loads(told.stdout)[0])
    assert dunning("doctor", workspace=workspace, DUNNING_MAIL="pigeon").returncode == 1


@pytest.mark.parametrize(
    ("now", "leaves"),
    [
        ("2025-11-03T03:04:00+01:00", "2025-11-03T03:00:00+01:00"),  # the schedule itself: the same morning
        ("2025-11-03T07:59:00+01:00", "2025-11-03T03:00:00+01:00"),
        ("2025-11-03T09:00:00+01:00", "2025-11-04T03:00:00+01:00"),  # by day: at the next send hour
        ("2025-11-03T02:00:00+01:00", "2025-11-03T03:00:00+01:00"),
        ("2025-11-08T03:05:00+01:00", "2025-11-10T03:00:00+01:00"),  # Saturday: on Monday
    ],
)
def test_when_the_days_messages_leave(workspace: Workspace, now: str, leaves: str) -> None:
    assert daily.due_time(workspace, datetime.fromisoformat(now)) == datetime.fromisoformat(leaves)


def test_the_demos_page_says_why_nothing_left(workspace: Workspace) -> None:
    page, why = Console(record=True, width=200), "sending is stopped: this ledger is a copy"
    tell(workspace, daily.DailyReport(date=date(2025, 11, 3)), {"sent": 0, "errors": [why]}, console=page)
    assert f"! {why}" in page.export_text()


@pytest.mark.slow
def test_an_empty_workspace_has_an_empty_day(workspace: Workspace) -> None:
    told = dunning("daily", "--format", "json", workspace=workspace, DUNNING_NOW=NINE)
    assert told.returncode == 0, told.stderr
    report = json.loads(told.stdout)
    assert (report["complete"], report["closed"], report["queued"], report["problems"]) == (True, 0, 0, [])
