"""A mistake in a file of the rules or the templates is shown with its place, in the reader's language, and takes no
page away that can do without the file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.world import NOW, Console

LEADS = "In einer Datei der Regeln oder Vorlagen steckt ein Fehler"


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())


@pytest.fixture
def broken(console: Console) -> Iterator[dict[str, Path]]:
    """A process, a campaign and a template with a mistake each; mended after the test."""
    root = console.workspace.root
    files = {
        "process": root / "policies" / "processes" / "standard.yaml",
        "campaign": root / "policies" / "campaigns" / "upcoming-due-dates.yaml",
        "template": root / "templates" / "email" / "de" / "friendly_reminder.mjml",
    }
    whole = {name: file.read_text(encoding="utf-8") for name, file in files.items()}
    files["process"].write_text(whole["process"].replace("grace_days: 0", "gracedays: 0"), encoding="utf-8")
    files["campaign"].write_text(whole["campaign"] + "\nfoo: 1\n", encoding="utf-8")
    files["template"].write_text(whole["template"].replace("</mj-body>", "{{ no_such_field }}</mj-body>"), "utf-8")
    yield files
    for name, file in files.items():
        file.write_text(whole[name], encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("/processes", "process", "unbekannter Schlüssel"),
        ("/runs", "process", "unbekannter Schlüssel"),
        ("/accounts/s:kim/holds", "process", "unbekannter Schlüssel"),
        ("/campaigns", "campaign", "unbekannter Schlüssel"),
        ("/calendar", "campaign", "unbekannter Schlüssel"),
        ("/templates/friendly_reminder/de", "template", "no_such_field"),
    ],
)
def test_the_page_stays_and_tells_the_place(
    console: Console, broken: dict[str, Path], path: str, name: str, said: str
) -> None:
    answer = console.get(f"{path}?language=de")
    assert answer.status_code == 200
    assert LEADS in answer.text and broken[name].name in answer.text and said in answer.text


def test_the_other_campaigns_are_shown_below_the_mistakes(console: Console, broken: dict[str, Path]) -> None:
    folder = broken["campaign"].parent
    second = folder / "zz.yaml"
    second.write_text("campaign: zz\nsegment: nowhere\n", encoding="utf-8")
    planned = folder / "each-day.yaml"
    planned.write_text(
        "campaign: each-day\nsegment: nearly_due\nflow: message\ntemplate: pre_due_notice\n"
        'schedule: {cron: "0 9 * * *"}\n',
        encoding="utf-8",
    )
    try:
        page = console.get("/campaigns?language=de").text
        assert page.count(LEADS) == 2 and "zz.yaml" in page and broken["campaign"].name in page
        assert "/campaigns/plan-follow-up" in page and "/campaigns/each-day" in page
        assert '"/campaigns/upcoming-due-dates"' not in page
        calendar = console.get("/calendar?language=de").text
        assert calendar.count(LEADS) == 2 and "/campaigns/each-day" in calendar
        assert b"each-day" in console.get("/calendar.ics").content
    finally:
        second.unlink()
        planned.unlink()


def test_a_template_shows_its_files_and_its_sample_in_every_channel(console: Console) -> None:
    page = console.get("/templates/friendly_reminder/de").text
    assert "email/de/friendly_reminder.mjml" in page and "&lt;mj-section" in page
    for kind in ("email", "text", "pdf", "sms"):
        assert f"/templates/friendly_reminder/de/{kind}" in page
        assert console.get(f"/templates/friendly_reminder/de/{kind}").status_code == 200
    assert console.get("/templates/friendly_reminder/xx").status_code == 404


def test_a_segment_that_was_published_twice_and_is_broken_now_shows_its_mistake(console: Console) -> None:
    file = console.workspace.root / "dbt_like_sql" / "segments" / "twice.sql"
    file.write_text("-- Everybody.\nselect unified_account_id from {{ ref('account_links') }}\n", encoding="utf-8")
    try:
        for _ in range(2):
            assert console.post("/segments/twice/publish").status_code == 303
        file.write_text("-- Everybody.\nselect unified_account_id form nowhere\n", encoding="utf-8")
        page = console.get("/segments/twice?language=de")
        assert page.status_code == 200 and LEADS in page.text and "twice.sql" in page.text
    finally:
        file.unlink()
