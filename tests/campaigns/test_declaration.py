"""Campaign files: what is right is read, every mistake is told with file, line and column."""

from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dunning_pipeline.campaigns.declaration import Campaign, find_campaign, usable_campaigns
from dunning_pipeline.cli.main import app
from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace

GOOD = """\
campaign: monthly-overdue
segment: overdue_1_30
flow: dunning
process: standard
levels: [1, 2]
template: friendly_reminder
channels: [email, sms]
schedule: {cron: "0 3 * * 1-5", timezone: Europe/Berlin}
send: {hour: 3, quiet_hours: null, holidays: DE}
hold_out: 0.0
"""


DIGEST = "consolidate: by_contact_point\n"
NOTE = "campaign: monthly-overdue\nsegment: overdue_1_30\nflow: message\ntemplate: DIGEST\n"
PLAN = "campaign: monthly-overdue\nsegment: overdue_1_30\nflow: collection_plan\ntemplate: account_digest\n"


def write(workspace: Workspace, text: str, name: str = "monthly-overdue") -> Path:
    file = workspace.policies / "campaigns" / f"{name}.yaml"
    file.write_text(text)
    return file


def right(workspace: Workspace) -> dict[str, Campaign]:
    """The campaigns of a workspace, in which there is no mistake."""
    campaigns, mistakes = usable_campaigns(workspace)
    assert mistakes == []
    return campaigns


def test_the_documented_example_is_read(workspace: Workspace) -> None:
    write(workspace, GOOD)
    campaign = right(workspace)["monthly-overdue"]
    assert (campaign.levels, campaign.channels, campaign.send.hour) == ((1, 2), ("email", "sms"), 3)
    assert campaign.schedule is not None and campaign.schedule.cron == "0 3 * * 1-5"


def test_the_shipped_campaigns_are_valid_and_claim_nothing(workspace: Workspace) -> None:
    shipped = right(workspace)
    assert shipped
    assert all(campaign.flow != "dunning" and campaign.schedule is None for campaign in shipped.values())


def test_the_shipped_examples_are_valid_once_they_are_switched_on(workspace: Workspace) -> None:
    folder = workspace.policies / "campaigns"
    for file in (folder / "examples").glob("*.yaml"):
        (folder / file.name).write_text(file.read_text())
    assert {"monthly-overdue", "collection-round"} <= set(right(workspace))


@pytest.mark.parametrize(
    ("line", "column", "text", "told"),
    [
        (6, 1, GOOD.replace("template: friendly_reminder", "template: frendly_reminder"), "no email template"),
        (11, 1, GOOD + DIGEST, "a reminder is one account's own"),
        (5, 1, PLAN + DIGEST, "a plan is agreed with one account"),
        (5, 19, NOTE.replace("DIGEST", "account_digest") + "channels: [email, letter]\n" + DIGEST, "not by letter"),
        (4, 1, NOTE.replace("DIGEST", "account_statement") + DIGEST, "does not show `accounts`"),
        (4, 1, NOTE.replace("DIGEST", "account_digest"), "it lists several accounts"),
    ],
)
def test_what_a_campaign_cannot_have_is_told_when_it_is_read(
    workspace: Workspace, line: int, column: int, text: str, told: str
) -> None:
    file = write(workspace, text)
    mistake = usable_campaigns(workspace)[1][0]
    assert told in mistake.message
    assert (mistake.file, mistake.line, mistake.column) == (file, line, column)


@pytest.mark.parametrize("said", ["schedule: on demand", "schedule: on_demand", ""])
def test_a_campaign_on_demand_has_no_schedule(workspace: Workspace, said: str) -> None:
    write(workspace, GOOD.replace('schedule: {cron: "0 3 * * 1-5", timezone: Europe/Berlin}', said))
    assert right(workspace)["monthly-overdue"].schedule is None


@pytest.mark.parametrize("said", ["schedule: {at: 2026-12-01T09:00}", "at: 2026-12-01T09:00"])
def test_a_campaign_may_run_once(workspace: Workspace, said: str) -> None:
    write(workspace, GOOD.replace('schedule: {cron: "0 3 * * 1-5", timezone: Europe/Berlin}', said))
    schedule = right(workspace)["monthly-overdue"].schedule
    assert schedule is not None and schedule.at == datetime(2026, 12, 1, 9, 0)


@pytest.mark.parametrize(
    ("good", "bad", "line", "told"),
    [
        ("segment: overdue_1_30", "segment: overdue_1_31", 2, "there is no segment 'overdue_1_31'"),
        ("process: standard", "process: standart", 4, "there is no process 'standart'"),
        ("levels: [1, 2]", "levels: [1, 7]", 5, "standard has no level 7"),
        ("levels: [1, 2]", "level: [1, 2]", 5, "unknown key 'level'"),
        ("process: standard\nlevels: [1, 2]", "levels: [1, 99]", 4, "no process has a level 99"),
        ('cron: "0 3 * * 1-5"', 'cron: "0 3 * *"', 8, "cron line of five fields"),
        ('cron: "0 3 * * 1-5"', 'cron: "0 3 30 2 *"', 8, "a date that never comes"),
        ('{cron: "0 3 * * 1-5", timezone: Europe/Berlin}', "every day", 8, "write {cron:"),
        ("timezone: Europe/Berlin", "timezone: Berlin", 8, "no IANA time zone"),
        ("holidays: DE", "holidays: XX", 9, "no holiday calendar"),
        ("quiet_hours: null", "quiet_hours: night", 9, "hours are written as"),
        ("hold_out: 0.0", "hold_out: 1.0", 10, "less than 1"),
        ("flow: dunning", "flow: dunnig", 3, "flow"),
    ],
)
def test_a_mistake_is_told_with_its_line(workspace: Workspace, good: str, bad: str, line: int, told: str) -> None:
    file = write(workspace, GOOD.replace(good, bad))
    mistake = usable_campaigns(workspace)[1][0]
    assert told in str(mistake)
    assert (mistake.file, mistake.line) == (file, line)


def test_a_message_campaign_needs_a_template_and_no_levels(workspace: Workspace) -> None:
    write(workspace, "campaign: m\nsegment: overdue_1_30\nflow: message\n", "m")
    assert "needs a template" in usable_campaigns(workspace)[1][0].message
    write(workspace, "campaign: m\nsegment: overdue_1_30\nflow: message\ntemplate: payment_thanks\nlevels: [1]\n", "m")
    assert "belong to the flow dunning" in usable_campaigns(workspace)[1][0].message


def test_a_broken_neighbour_does_not_hide_a_good_campaign(workspace: Workspace) -> None:
    write(workspace, GOOD)
    write(workspace, "campaign: broken\nsegment: nowhere\n", "broken")
    assert find_campaign(workspace, "monthly-overdue").segment == "overdue_1_30"
    with pytest.raises(NotThere, match="no such campaign"):
        find_campaign(workspace, "unheard-of")


def test_a_mistake_in_a_process_stops_only_campaigns_that_name_one(workspace: Workspace) -> None:
    write(workspace, GOOD)
    process = workspace.policies / "processes" / "standard.yaml"
    process.write_text(process.read_text().replace("grace_days: 0", "gracedays: 0"))
    campaigns, (mistake,) = usable_campaigns(workspace)
    assert "plan-follow-up" in campaigns and "monthly-overdue" not in campaigns
    assert "cannot be read" in mistake.message and f"{process}:" in str(mistake.remedy)


def test_torn_waterfalls_stop_only_campaigns_that_name_one(workspace: Workspace) -> None:
    write(workspace, GOOD)
    for name, whom in (
        ("rungs", "waterfall: [overdue_31_60, overdue_1_30]"),
        ("named", "waterfall: collection_priority"),
    ):
        text = GOOD.replace("monthly-overdue", name).replace("segment: overdue_1_30", whom)
        named = write(workspace, text, name)
    assert {"rungs", "named"} <= set(right(workspace))
    file = workspace.models / "segments" / "waterfalls.yml"
    file.write_text("waterfalls: [\n")
    campaigns, (mistake,) = usable_campaigns(workspace)
    assert {"monthly-overdue", "rungs"} <= set(campaigns) and "named" not in campaigns
    assert (mistake.file, mistake.line) == (named, 2) and "the waterfalls cannot be read" in mistake.message
    assert str(mistake.remedy).startswith(f"{file}:2:1")
    assert find_campaign(workspace, "monthly-overdue").segment == "overdue_1_30"
    told = CliRunner().invoke(app, ["campaign", "list", "--workspace", str(workspace.root)])
    assert told.exit_code == 1 and "monthly-overdue" in told.stdout
    assert f"{named}:2:1" in told.stderr and f"{file}:2:1" in told.stderr


def test_the_list_and_the_calendar_show_the_good_ones_and_name_the_broken(workspace: Workspace) -> None:
    write(workspace, GOOD)
    broken = [
        write(workspace, "campaign: broken\nsegment: nowhere\n", "broken"),
        write(workspace, "campaign: torn\nsegment: [\n", "torn"),
        write(workspace, GOOD, "twin"),  # a name that is taken: the first file keeps it
    ]
    campaigns, mistakes = usable_campaigns(workspace)
    assert "monthly-overdue" in campaigns and not {"broken", "torn"} & set(campaigns)
    assert sorted(str(mistake.file) for mistake in mistakes) == sorted(map(str, broken))
    for command in (["campaign", "list", "--format", "json"], ["calendar"]):
        told = CliRunner().invoke(app, [*command, "--workspace", str(workspace.root)])
        assert told.exit_code == 1
        assert "monthly-overdue" in told.stdout
        assert f"{broken[0]}:2:1: there is no segment 'nowhere'" in told.stderr and "→" in told.stderr
        assert all(str(file) in told.stderr for file in broken)
