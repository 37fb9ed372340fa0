"""The calendar: planned and past stand in it, and the file is one that other calendars read."""

from datetime import date, datetime, timedelta
from typing import Any

import icalendar
import pytest
from typer.testing import CliRunner

from dunning_pipeline.campaigns.calendar import as_ics, entries
from dunning_pipeline.campaigns.declaration import usable_campaigns
from dunning_pipeline.campaigns.effect import difference_interval, wilson
from dunning_pipeline.campaigns.running import run_campaign
from dunning_pipeline.cli.main import app
from dunning_pipeline.settings.workspace import Workspace
from tests.campaigns.conftest import BERLIN, NOW
from tests.campaigns.test_running import DUNNING, MESSAGE, declare

FIRST, LAST = date(2025, 11, 1), date(2025, 11, 14)


def shown(ws: Workspace) -> list[dict[str, Any]]:
    return entries(ws, usable_campaigns(ws)[0].values(), first=FIRST, last=LAST, now=NOW)


def test_planned_and_done_occurrences_and_messages_are_in_it(company: Workspace) -> None:
    declare(company, DUNNING)
    declare(company, MESSAGE)
    run_campaign(company, "notes", now=NOW, actor="test", occurrence="one")
    found = shown(company)
    told = {(row["kind"], row["name"], row["status"]) for row in found}
    assert {
        ("campaign", "first-round", "planned"),
        ("campaign", "notes", "done"),
        ("messages", "email", "queued"),
    } <= told
    assert ("closed", "weekend", "planned") in told
    rounds = [row["at"] for row in found if row["name"] == "first-round"]
    assert rounds == [datetime(2025, 11, 12, 7, tzinfo=BERLIN)]


def test_the_file_is_valid_and_an_entry_keeps_its_uid(company: Workspace) -> None:
    declare(company, DUNNING)
    declare(company, MESSAGE)
    for occurrence in ("one", "two"):  # of the same minute
        run_campaign(company, "notes", now=NOW, actor="test", occurrence=occurrence)
    first = as_ics(shown(company), company="Ä, B; C\\D", now=NOW)
    later = as_ics(shown(company), company="Ä, B; C\\D", now=NOW + timedelta(hours=1))
    calendar = icalendar.Calendar.from_ical(first)
    assert calendar["version"] == "2.0" and calendar["prodid"]
    events = calendar.walk("VEVENT")
    assert events and all(event.errors == [] for event in events)
    for event in events:
        assert {"UID", "DTSTAMP", "DTSTART", "SUMMARY"} <= set(event)
    uids = [str(event["uid"]) for event in events]
    assert len(uids) == len(set(uids))
    assert uids == [str(event["uid"]) for event in icalendar.Calendar.from_ical(later).walk("VEVENT")]
    assert first.count(b"\n") == first.count(b"\r\n")
    assert all(len(line) <= 75 for line in first.split(b"\r\n"))


def test_the_commands_answer(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())
    monkeypatch.setenv("DUNNING_WORKSPACE", str(company.root))
    declare(company, MESSAGE)
    run = CliRunner().invoke
    assert '"notes"' in run(app, ["campaign", "list", "--format", "json"]).stdout
    assert run(app, ["campaign", "run", "notes", "--format", "json"]).exit_code == 0
    told = run(app, ["campaign", "report", "notes", "--format", "json"])
    assert told.exit_code == 0 and '"queued": 4' in told.stdout
    file = company.root / "plan.ics"
    assert run(app, ["calendar", "--ics", str(file)]).exit_code == 0
    assert file.read_bytes().startswith(b"BEGIN:VCALENDAR")
    assert run(app, ["calendar", "--from", "2026-01-02", "--to", "2026-01-01"]).exit_code == 2
    assert "--from" in run(app, ["calendar", "--from", "soon"]).stderr


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_the_interval_of_a_share(hits: int, of: int, low: float, high: float) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=1e-4)


def test_the_interval_of_a_difference_as_published() -> None:
    # Newcombe 1998, table II: 56/70 - 48/80, method 10: 0.0524 to 0.3339
    assert difference_interval(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=1e-4)
