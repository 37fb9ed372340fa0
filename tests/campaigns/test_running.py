"""Stories of campaigns: claimed and sent once, held out and measured, paused and resumed, interrupted and caught up."""

import json
import os
from datetime import datetime, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from typing import Any

import duckdb
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from dunning_pipeline import daily
from dunning_pipeline.campaigns import running, steering
from dunning_pipeline.campaigns.audience import is_held_out
from dunning_pipeline.campaigns.declaration import Campaign
from dunning_pipeline.campaigns.effect import report_of
from dunning_pipeline.campaigns.occurrences import planned
from dunning_pipeline.campaigns.running import run_campaign, run_due
from dunning_pipeline.campaigns.timing import due_at
from dunning_pipeline.cli.daily import summary
from dunning_pipeline.cli.sending import app
from dunning_pipeline.delivery.reading import read_sends
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.examination import examine
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.schema import campaign_members, campaign_occurrences, findings, sends, statements
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.building import build
from tests.campaigns.conftest import BERLIN, NOW, TODAY

DUNNING = """\
campaign: first-round
segment: overdue_1_30
flow: dunning
process: standard
levels: [1]
channels: [email]
schedule: {cron: "0 7 * * 3", timezone: Europe/Berlin}
send: {hour: 7}
"""
FIRST_ROUND = {"alpha", "bravo", "carol", "delta"}  # 1 to 30 days overdue
MESSAGE = """\
campaign: notes
segment: overdue_1_30
flow: message
template: account_statement
channels: [email]
"""


def declare(ws: Workspace, text: str) -> None:
    name = text.split("\n")[0].removeprefix("campaign: ")
    (ws.policies / "campaigns" / f"{name}.yaml").write_text(text)


def rows(ws: Workspace, query: Any) -> list[Any]:
    with reading(open_ledger(ws)) as connection:
        return list(connection.execute(query).all())


def sent_to(ws: Workspace) -> dict[str, str | None]:
    """Account → the campaign of its one send."""
    found = rows(ws, select(sends.c.account_key, sends.c.campaign))
    assert len(found) == len({row.account_key for row in found}), "nobody is written to twice"
    return {row.account_key.removeprefix("salesforce:"): row.campaign for row in found}


def decide_close_queue(ws: Workspace, now: datetime = NOW) -> daily.DailyReport:
    """The daily path without reading and building again."""
    report = daily.DailyReport(now.date())
    report.runs = daily.run_processes(ws, date=now.date(), now=now, actor="test", problems=report.problems)
    daily.close_and_queue(ws, report, now=now, actor="test")
    return report


def test_the_summary_of_a_day_counts_what_was_proposed_closed_and_queued(company: Workspace) -> None:
    told = dict(summary(decide_close_queue(company)))
    assert (told["proposed"], told["closed"], told["queued"]) == (
        "5 statements in 1 run",
        "5 statements",
        "5 messages",
    )
    assert "for a person" not in told


def test_without_a_campaign_the_daily_path_queues_everything(company: Workspace) -> None:
    report = decide_close_queue(company)
    assert report.problems == []
    assert sent_to(company) == dict.fromkeys(("alpha", "bravo", "carol", "delta", "echo"))
    assert decide_close_queue(company).queued == []


def test_a_claimed_statement_waits_for_its_campaign_and_leaves_once(company: Workspace) -> None:
    declare(company, DUNNING.replace('{cron: "0 7 * * 3", timezone: Europe/Berlin}', "on demand"))
    report = decide_close_queue(company)
    assert report.claimed == {"first-round": 4}
    assert sent_to(company) == {"echo": None}  # 45 days: not in the segment, so the daily path's own

    told = run_campaign(company, "first-round", now=NOW, actor="test", occurrence="one")
    assert told.counts == {"queued": 4}
    assert sent_to(company) == {**dict.fromkeys(("alpha", "bravo", "carol", "delta"), "first-round"), "echo": None}

    again = run_campaign(company, "first-round", now=NOW + timedelta(hours=1), actor="test", occurrence="one")
    assert (again.status, again.counts) == ("done", {"queued": 4})
    other = run_campaign(company, "first-round", now=NOW + timedelta(hours=1), actor="test", occurrence="two")
    assert other.counts == {"no_statement": 4}
    assert len(sent_to(company)) == 5


def test_a_due_campaign_runs_with_the_daily_path_and_its_template_and_hour_count(company: Workspace) -> None:
    declare(company, DUNNING + "template: second_reminder\n")
    report = decide_close_queue(company)
    assert [one.occurrence for one in report.campaigns] == ["2025-11-05T06:00:00Z"]
    found = rows(company, select(sends.c.template, sends.c.due_at).where(sends.c.campaign == "first-round"))
    assert {row.template for row in found} == {"second_reminder"}
    # planned for 7:00 and run at 9:00: late, so at once instead of tomorrow
    assert {row.due_at for row in found} == {datetime(2025, 11, 5, 7, tzinfo=BERLIN)}
    assert decide_close_queue(company, NOW + timedelta(hours=1)).campaigns == []


def test_of_several_missed_schedules_only_the_newest_runs(company: Workspace) -> None:
    declare(company, DUNNING.replace("0 7 * * 3", "0 7 * * *"))
    problems: list[str] = []
    reports = run_due(company, now=NOW, actor="test", problems=problems)
    assert (problems, [one.occurrence for one in reports]) == ([], ["2025-11-05T06:00:00Z"])
    c = campaign_occurrences.c
    told = {row.occurrence: row.status for row in rows(company, select(c.occurrence, c.status))}
    assert told == {
        "2025-11-03T06:00:00Z": "cancelled",
        "2025-11-04T06:00:00Z": "cancelled",
        "2025-11-05T06:00:00Z": "done",
    }


def test_what_a_broken_file_kept_from_running_is_caught_up_once_or_told(company: Workspace) -> None:
    declare(company, MESSAGE + 'schedule: {cron: "0 7 * * 3,6", timezone: Europe/Berlin}\n')  # on the 5th, 8th, 12th …
    file = company.policies / "campaigns" / "notes.yaml"
    right = file.read_text()
    assert [one.status for one in run_due(company, now=NOW, actor="test", problems=[])] == ["done"]
    file.write_text(right.replace("overdue_1_30", "nowhere"))
    for days in (3, 4):
        problems: list[str] = []
        assert run_due(company, now=NOW + timedelta(days=days), actor="test", problems=problems) == []
        assert len(problems) == 1 and "there is no segment 'nowhere'" in problems[0]
    file.write_text(right)
    for days, ran, told in ((12, ["2025-11-15T06:00:00Z"], 1), (13, [], 0), (14, ["2025-11-19T06:00:00Z"], 0)):
        problems = []
        reports = run_due(company, now=NOW + timedelta(days=days, hours=-1), actor="test", problems=problems)
        assert ([one.occurrence for one in reports], len(problems)) == (ran, told)
        assert not told or "2025-11-08T06:00:00Z, 2025-11-12T06:00:00Z (of 2)" in problems[0]
    c = campaign_occurrences.c
    done = {row.occurrence[:10]: row.status for row in rows(company, select(c.occurrence, c.status))}
    done_on, lost_on = ("2025-11-05", "2025-11-15", "2025-11-19"), ("2025-11-08", "2025-11-12")
    assert done == {**dict.fromkeys(done_on, "done"), **dict.fromkeys(lost_on, "cancelled")}


@pytest.mark.parametrize(("saved", "runs"), [(timedelta(hours=1), []), (timedelta(hours=3), ["2025-11-05T06:00:00Z"])])
def test_saving_a_new_campaign_sends_nothing_of_the_time_before(
    company: Workspace, saved: timedelta, runs: list[str]
) -> None:
    declare(company, DUNNING)  # at 7:00, and it is 9:00
    os.utime(company.policies / "campaigns" / "first-round.yaml", ((NOW - saved).timestamp(),) * 2)
    assert [one.occurrence for one in run_due(company, now=NOW, actor="test", problems=[])] == runs


def test_a_review_level_waits_for_its_reviewer(company: Workspace) -> None:
    process = company.policies / "processes" / "standard.yaml"
    process.write_text(process.read_text().replace("approval: automatic", "approval: review"))
    declare(company, DUNNING)
    reports = run_due(company, now=NOW, actor="test", problems=[])
    assert reports[0].counts == {"waits_for_review": 4}
    assert rows(company, select(sends.c.send_key)) == []


def test_held_out_accounts_get_nothing_and_stay_the_same_each_time(company: Workspace) -> None:
    declare(company, MESSAGE + "hold_out: 0.5\n")
    first = run_campaign(company, "notes", now=NOW, actor="test", occurrence="one")
    m = campaign_members.c
    members = rows(company, select(m.unified_account_id, m.is_held_out, m.outcome))
    assert first.audience == len(members) == 4
    for row in members:
        assert row.is_held_out == is_held_out("notes", row.unified_account_id, Decimal("0.5"))
        assert row.outcome == ("held_out" if row.is_held_out else "queued")
    written = {row.unified_account_id for row in rows(company, select(sends.c.unified_account_id))}
    assert written == {row.unified_account_id for row in members if not row.is_held_out}


def test_an_account_counts_once_in_the_effect_however_often_the_campaign_comes_round(company: Workspace) -> None:
    # ids are new in each build, and the name decides who is held out: one that leaves somebody in both groups
    ids = [row["unified_account_id"] for row in company.segment("overdue_1_30").pl().to_dicts()]
    draws = ((f"n{n}", sum(is_held_out(f"n{n}", one, Decimal("0.5")) for one in ids)) for n in range(100))
    name, held_out = next((name, drawn) for name, drawn in draws if 0 < drawn < len(ids))
    text = MESSAGE.replace("campaign: notes", f"campaign: {name}")
    declare(company, text + "hold_out: 0.5\nsend: {fatigue_cap_per_week: 1}\n")
    for occurrence in ("one", "two", "three"):
        run_campaign(company, name, now=NOW, actor="test", occurrence=occurrence)
    build(company, run_date=NOW.date(), now=NOW)
    effect = report_of(company, name)["effect"]
    assert (effect["written_to"]["accounts"], effect["held_out"]["accounts"]) == (len(ids) - held_out, held_out)


@pytest.mark.parametrize(("hour", "next_one"), [(7, "2025-11-06T06:00:00Z"), (10, "2025-11-06T09:00:00Z")])
def test_another_hour_written_after_todays_run_is_tomorrows(company: Workspace, hour: int, next_one: str) -> None:
    """Every member would get the message of the day a second time."""
    daily_at = MESSAGE + 'schedule: {{cron: "0 {} * * *", timezone: Europe/Berlin}}\n'
    declare(company, daily_at.format(8))
    assert [one.occurrence for one in run_due(company, now=NOW, actor="test", problems=[])] == ["2025-11-05T07:00:00Z"]
    declare(company, daily_at.format(hour))
    assert run_due(company, now=NOW + timedelta(hours=2), actor="test", problems=[]) == []
    assert len(rows(company, select(sends.c.send_key))) == 4
    [tomorrow] = run_due(company, now=NOW + timedelta(days=1, hours=2), actor="test", problems=[])
    assert tomorrow.occurrence == next_one


def test_a_second_hour_beside_the_first_still_runs_today(company: Workspace) -> None:
    at_hours = MESSAGE + 'schedule: {{cron: "0 {} * * *", timezone: Europe/Berlin}}\n'
    declare(company, at_hours.format("8"))
    run_due(company, now=NOW, actor="test", problems=[])
    declare(company, at_hours.format("8,10"))
    again = run_due(company, now=NOW + timedelta(hours=2), actor="test", problems=[])
    assert [one.occurrence for one in again] == ["2025-11-05T09:00:00Z"]


def test_what_a_removed_campaign_did_stays_known(company: Workspace) -> None:
    declare(company, MESSAGE)
    run_campaign(company, "notes", now=NOW, actor="test", occurrence="one")
    file = company.policies / "campaigns" / "notes.yaml"
    file.write_text("campaign: [")
    assert report_of(company, "notes")["occurrences"][0]["sends"] == {"queued": 4}
    file.unlink()
    assert report_of(company, "notes")["occurrences"][0]["sends"] == {"queued": 4}
    with pytest.raises(NotThere):
        report_of(company, "never")


def test_the_share_that_is_held_out_is_the_declared_one() -> None:
    out = sum(is_held_out("c", f"UA-{n}", Decimal("0.1")) for n in range(20_000))
    assert abs(out / 20_000 - 0.1) < 0.01
    assert not any(is_held_out("c", f"UA-{n}", Decimal(0)) for n in range(1000))


def test_a_paused_campaign_keeps_its_claims_and_runs_when_it_is_resumed(company: Workspace) -> None:
    declare(company, DUNNING)
    assert steering.pause(company, "first-round", now=NOW, actor="test", reason="wrong template")
    report = decide_close_queue(company)
    assert report.campaigns == []
    assert sent_to(company) == {"echo": None}
    with pytest.raises(Refused, match="paused"):
        run_campaign(company, "first-round", now=NOW, actor="test")
    steering.resume(company, "first-round", now=NOW, actor="test")
    assert len(run_due(company, now=NOW + timedelta(hours=2), actor="test", problems=[])) == 1
    assert len(sent_to(company)) == 5


def test_what_waits_of_a_paused_campaign_goes_on_though_its_file_is_gone(company: Workspace) -> None:
    declare(company, MESSAGE)
    run_campaign(company, "notes", now=NOW, actor="test", send_now=True)
    steering.pause(company, "notes", now=NOW, actor="test", reason="wrong template")
    (company.policies / "campaigns" / "notes.yaml").unlink()
    assert deliver(company, now=NOW)["sent"] == 0
    told = {one.text: one.remedy for one in examine(company, now=NOW) if one.what == "sends"}
    assert "dunning campaign resume notes" in told["campaign notes is paused: wrong template"]

    assert steering.resume(company, "notes", now=NOW, actor="test")
    assert deliver(company, now=NOW)["sent"] > 0
    with pytest.raises(NotThere, match="no such campaign"):
        steering.resume(company, "nots", now=NOW, actor="test")


def test_an_interrupted_occurrence_is_finished_by_the_next_one_and_doubles_nothing(
    company: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(company, MESSAGE)
    real = running.message_flow

    def dies_half_way(campaign: Any) -> Any:
        def flow(ws: Workspace, campaign: Any, accounts: list[str], **rest: Any) -> Any:
            real(campaign)(ws, campaign, accounts[:2], **rest)
            raise KeyboardInterrupt

        return flow

    monkeypatch.setattr(running, "message_flow", dies_half_way)
    with pytest.raises(KeyboardInterrupt):
        run_campaign(company, "notes", now=NOW, actor="test", occurrence="one")
    assert len(sent_to(company)) == 2
    monkeypatch.setattr(running, "message_flow", real)
    reports = run_due(company, now=NOW + timedelta(minutes=5), actor="test", problems=[])
    assert [one.counts for one in reports] == [{"queued": 4}]
    assert len(sent_to(company)) == 4


def test_nobody_gets_more_than_the_cap_allows_in_a_week(company: Workspace) -> None:
    declare(company, MESSAGE + "send: {fatigue_cap_per_week: 1}\n")
    assert run_campaign(company, "notes", now=NOW, actor="test", occurrence="one").counts == {"queued": 4}
    later = run_campaign(company, "notes", now=NOW + timedelta(days=6), actor="test", occurrence="two")
    assert later.counts == {"fatigue_cap": 4}


def test_one_contact_of_two_accounts_is_capped_once(company: Workspace) -> None:
    (snapshot,) = company.serving.glob("*.duckdb")
    with duckdb.connect(str(snapshot)) as published:
        mine = "account_key = 'salesforce:bravo'"
        published.execute(f"update dunning.account_recipients set email_to = ['AP.alpha@alpha.example'] where {mine}")
    declare(company, MESSAGE + "send: {fatigue_cap_per_week: 1}\n")
    told = run_campaign(company, "notes", now=NOW, actor="test", occurrence="one")
    assert told.counts == {"queued": 3, "fatigue_cap": 1}


@pytest.mark.parametrize(
    ("cron", "day", "hours"),
    [
        ("30 2 * * *", "2025-10-26", ["02:30+01:00"]),  # the clocks go back: once, as Dagster has it
        ("30 2,3 * * *", "2025-10-26", ["02:30+01:00", "03:30+01:00"]),
        ("0 1-3 * * *", "2025-10-26", ["01:00+02:00", "02:00+02:00", "02:00+01:00", "03:00+01:00"]),
        ("30 2 * * *", "2026-03-29", ["03:00+02:00"]),  # 02:30 does not exist: at the next moment that does
        ("0 3 * * *", "2025-10-26", ["03:00+01:00"]),
    ],
)
def test_a_schedule_when_the_clocks_change(workspace: Workspace, cron: str, day: str, hours: list[str]) -> None:
    campaign = Campaign(campaign="c", segment="s", schedule={"cron": cron, "timezone": "Europe/Berlin"})
    start = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    ticks = planned(campaign, workspace, after=start, until=start + timedelta(hours=20))
    assert [tick.isoformat() for tick in ticks] == [f"{day}T{hour[:5]}:00{hour[5:]}" for hour in hours]


@pytest.mark.parametrize(
    ("hour", "due"),
    [
        (22, "2025-11-11T07:00"),  # quiet from Friday evening to Saturday: on Monday at 22:00 it is quiet again
        (9, "2025-11-10T09:00"),
    ],
)
def test_quiet_hours_that_end_on_a_closed_day_wait_for_an_open_one(workspace: Workspace, hour: int, due: str) -> None:
    send = {"hour": hour, "quiet_hours": "20:00-07:00", "holidays": "DE"}
    campaign = Campaign(campaign="c", segment="s", send=send)
    friday = datetime(2025, 11, 7, 22, tzinfo=BERLIN)
    found = due_at(campaign, workspace, planned_for=friday, now=friday, time_zone="Europe/Berlin", at_once=False)
    assert found == datetime.fromisoformat(due).replace(tzinfo=BERLIN)


def test_a_plan_is_one_message_to_its_contact(company: Workspace) -> None:
    declare(company, MESSAGE.replace("overdue_1_30", "overdue_31_60").replace("flow: message", "flow: collection_plan"))
    assert run_campaign(company, "notes", now=NOW, actor="test", occurrence="one").counts == {"queued": 1}
    (row,) = rows(company, select(sends))
    assert (row.kind, row.recipients["to"]) == ("collection_plan", ["ap.echo@echo.example"])
    assert row.document["account"]["name"] == "Echo GmbH"
    assert row.document["totals"]["please_pay"] == "249.00", "cash that names no invoice is deducted"
    assert [credit["amount"] for credit in row.document["credits"]] == ["-1.00"]


def test_what_is_blocked_or_whose_reader_is_unclear_gets_no_message_about_its_debt(company: Workspace) -> None:
    (snapshot,) = company.serving.glob("*.duckdb")
    with duckdb.connect(str(snapshot)) as con:
        con.execute("update dunning.open_items set is_disputed = true where account_key = 'salesforce:alpha'")
        con.execute("update dunning.account_recipients set has_conflict = true where account_key = 'salesforce:bravo'")
    declare(company, MESSAGE)
    told = run_campaign(company, "notes", now=NOW, actor="test", occurrence="one")
    assert told.counts == {"queued": 2, "blocked": 1, "recipient_conflict": 1}


def test_a_template_that_shows_nothing_open_goes_to_everybody_and_carries_none_of_it(company: Workspace) -> None:
    folder = company.templates / "email" / "en"
    (folder / "moved.subject.j2").write_text("We have moved")
    (folder / "moved.txt.j2").write_text("Hello, {{ company.postal_line }}\n")
    (folder / "moved.mjml").write_text(
        "<mjml lang='en'><mj-head><mj-title>Moved</mj-title><mj-preview>New address</mj-preview></mj-head><mj-body>"
        "<mj-section><mj-column><mj-text>{{ company.postal_line }}</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    (snapshot,) = company.serving.glob("*.duckdb")
    with duckdb.connect(str(snapshot)) as con:
        con.execute("update dunning.open_items set is_disputed = true where account_key = 'salesforce:alpha'")
    declare(company, MESSAGE.replace("account_statement", "moved"))
    assert run_campaign(company, "notes", now=NOW, actor="test", occurrence="one").counts == {"queued": 4}
    assert all(row.document["items"] == [] for row in rows(company, select(sends)))


def test_who_has_paid_without_naming_an_invoice_is_not_asked_again(company: Workspace) -> None:
    (snapshot,) = company.serving.glob("*.duckdb")
    with duckdb.connect(str(snapshot)) as con:
        con.execute(
            "insert into dunning.open_credits by name select credit_key || name as credit_key, kind, currency, "
            "reference, booked_on, entity, 'salesforce:' || name as account_key, paid.amount as amount "
            "from (from dunning.open_credits limit 1), "
            "(values ('alpha', 250.00), ('bravo', 249.00), ('carol', 300.00)) as paid (name, amount)"
        )
    declare(company, MESSAGE.replace("account_statement", "pre_due_notice"))
    told = run_campaign(company, "notes", now=NOW, actor="test", occurrence="one")
    assert told.counts == {"queued": 2, "covered_by_credit": 2}
    asked = {row.account_key: row.document for row in rows(company, select(sends))}
    assert asked["salesforce:bravo"]["totals"]["please_pay"] == "1.00"
    assert asked["salesforce:delta"]["totals"]["please_pay"] == "250.00" and not asked["salesforce:delta"]["credits"]
    # a thanks is said to all of them, and asks those who have paid for nothing
    declare(company, MESSAGE.replace("account_statement", "payment_thanks").replace("notes", "thanks"))
    assert run_campaign(company, "thanks", now=NOW, actor="test", occurrence="one").counts == {"queued": 4}
    thanks = rows(company, select(sends).where(sends.c.campaign == "thanks").order_by(sends.c.account_key))
    assert [len(row.document["items"]) for row in thanks] == [0, 1, 0, 1]


def test_quiet_hours_are_the_recipients(company: Workspace) -> None:
    declare(company, MESSAGE + 'send: {hour: 3, quiet_hours: "22:00-08:00"}\n')
    run_campaign(company, "notes", now=NOW, actor="test", occurrence="one")
    due = {row.due_at for row in rows(company, select(sends.c.due_at))}
    assert due == {datetime(2025, 11, 6, 8, tzinfo=BERLIN)}


@pytest.mark.slow
def test_a_campaign_decides_for_the_day_where_nobody_has(company: Workspace) -> None:
    declare(company, DUNNING)
    told = run_campaign(company, "first-round", now=NOW, actor="test", occurrence="one")
    assert told.counts == {"queued": 4}
    assert {row.dunning_date for row in rows(company, select(statements.c.dunning_date))} == {TODAY}


def test_a_broken_campaign_is_told_and_stops_no_other(company: Workspace) -> None:
    declare(company, DUNNING.replace("overdue_1_30", "nowhere"))
    declare(company, "campaign: torn\nsegment: [\n")
    report = decide_close_queue(company)
    assert any("nowhere" in problem for problem in report.problems)
    assert len(sent_to(company)) == 5


def test_a_torn_file_takes_no_claim_from_another_campaign(company: Workspace) -> None:
    declare(company, DUNNING)
    declare(company, "campaign: torn\nsegment: [\n")
    report = decide_close_queue(company)
    assert any("torn.yaml:3:1" in problem for problem in report.problems)
    assert {name for name, campaign in sent_to(company).items() if campaign == "first-round"} == FIRST_ROUND


def test_a_plan_is_sent_by_hand_once_a_day(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())
    command = ["plan", "PLAN1", "--template", "friendly_reminder", "--workspace", str(company.root)]
    said = [CliRunner().invoke(app, [*command, "--format", "json"]) for _ in range(2)]
    assert [json.loads(one.stdout)[0]["outcome"] for one in said] == ["queued", "queued"]
    assert [row["kind"] for row in read_sends(company)] == ["collection_plan"]


def test_one_account_is_written_to_by_hand_with_other_words_and_recipients(
    company: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())
    command = ["account", "alpha", "--template", "account_statement", "--now", "--workspace", str(company.root)]
    command += ["--to", "me@office.example", "--bcc", "boss@office.example", "--subject", "Hello\r\nBcc: x@y.z"]
    assert [CliRunner().invoke(app, command).exit_code for _ in range(2)] == [0, 0]
    (row,) = rows(company, select(sends))
    assert (row.recipients["to"], row.recipients["bcc"]) == (["me@office.example"], ["boss@office.example"])
    assert (row.account_key, row.due_at, row.statement_id) == ("salesforce:alpha", NOW, None)
    assert deliver(company, now=NOW)["sent"] == 1
    (file,) = (company.state / "outbox").glob("*.eml")
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert (mail["subject"], mail["to"], mail["bcc"]) == (
        "Hello Bcc: x@y.z",
        "me@office.example",
        "boss@office.example",
    )
    refused = CliRunner().invoke(app, [*command, "--to", "nobody at all"])
    assert isinstance(refused.exception, InvalidInput) and len(rows(company, select(sends))) == 1


def test_planning_an_occurrence_by_hand(company: Workspace) -> None:
    declare(company, MESSAGE)
    at = NOW + timedelta(hours=1)
    steering.plan_occurrence(company, "notes", at=at, now=NOW, actor="test")
    assert run_due(company, now=NOW, actor="test", problems=[]) == []
    assert [one.status for one in run_due(company, now=at, actor="test", problems=[])] == ["done"]
    assert run_due(company, now=at + timedelta(days=1), actor="test", problems=[]) == []


def test_why_a_message_was_not_queued_is_a_finding(company: Workspace) -> None:
    declare(company, MESSAGE)
    (company.root / "templates" / "email" / "en" / "account_statement.subject.j2").write_text("{{ nonsense }}")
    for language in ("de", "es", "fr"):
        (company.root / "templates" / "email" / language / "account_statement.subject.j2").unlink(missing_ok=True)
    report = run_campaign(company, "notes", now=NOW, actor="test", occurrence="one")
    assert report.counts == {"failed": report.audience} and report.audience > 0
    [found] = rows(company, select(findings).where(findings.c.kind == "messages_not_queued"))
    assert found.object_id == "notes" and "of one could not be queued" in found.message
    assert sum(map(len, found.detail["accounts"].values())) == report.audience
