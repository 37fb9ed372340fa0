"""Consent files and the preference page: who may be written to, and since when."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from dunning_pipeline.delivery.permission.consent import consents_of
from dunning_pipeline.delivery.permission.consent_files import import_file, read_instant
from dunning_pipeline.delivery.permission.preference_page import answer_preferences, show_preferences
from dunning_pipeline.delivery.permission.preferences import preference_link
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import consents
from dunning_pipeline.settings.workspace import Workspace
from tests.delivery.desk import NOW, Desk
from tests.delivery.test_events import Hook, Signer


@pytest.fixture
def known(desk: Desk) -> Desk:
    desk.contacts = [("acme", "anna@example.com"), ("acme", "Bert@Example.com"), ("acme", "carl@example.com")]
    desk.publish()
    return desk


def load(desk: Desk, text: str, *, status: str = "opt_out", channel: str = "email", name: str = "c.csv"):
    file: Path = desk.ws.inbox / name
    file.write_text(text, encoding="utf-8")
    return import_file(desk.ws, file, channel=channel, subscription="dunning", status=status, now=NOW)


def said(desk: Desk, point: str) -> str | None:
    with reading(desk.engine) as connection:
        return consents_of(connection, [point], channel="email").get((point, "dunning"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-02 10:15:00.250+0000", datetime(2025, 1, 2, 10, 15, 0, 250000, UTC)),
        ("2025-01-02 10:15:00.000Z", datetime(2025, 1, 2, 10, 15, tzinfo=UTC)),
        ("01/02/2025 10:15:00", datetime(2025, 1, 2, 10, 15, tzinfo=UTC)),
        ("01/02/2025", datetime(2025, 1, 2, tzinfo=UTC)),
        ("1/02/2025", datetime(2025, 1, 2, tzinfo=UTC)),
        ("2025-01-02", datetime(2025, 1, 2, tzinfo=UTC)),
        ("02.01.2025", None),
        ("13/45/2025", None),
        ("", None),
    ],
)
def test_the_five_notations_of_a_date(text: str, expected: datetime | None) -> None:
    assert read_instant(text, UTC) == expected


def test_a_file_is_recorded_and_its_bad_rows_are_set_aside(known: Desk) -> None:
    report = load(
        known,
        "email,date\nanna@example.com,2025-01-02\n<BERT@example.com>,01/03/2025\n=nope(1),2025-01-02\n"
        "carl@example.com,32/99/2025\nnobody@else.example,2025-01-02\ncarl@example.com\ncarl@example.com,2031-01-01\ncarl@example.com,0001-01-01\n",
    )

    assert (report.rows_read, report.rows_loaded, report.rows_rejected) == (8, 2, 6)
    assert said(known, "anna@example.com") == said(known, "bert@example.com") == "opt_out"
    assert said(known, "nobody@else.example") is None
    rejects = Path(report.reject_file).read_text()
    for line in (
        "c.csv,4,1,'=nope(1)",
        "c.csv,5,2,32/99/2025",
        "c.csv,6,1,nobody@else.example",
        "no date",
        "future",
        "before 1900",
    ):
        assert line in rejects


def test_the_newest_counts_and_a_tie_is_a_no(known: Desk) -> None:
    load(known, "anna@example.com,2025-03-01\n", status="opt_in")
    load(known, "anna@example.com,2025-02-01\n", status="opt_out")
    assert said(known, "anna@example.com") == "opt_in"
    load(known, "anna@example.com,2025-03-01\n", status="opt_out")
    assert said(known, "anna@example.com") == "opt_out"
    load(known, "anna@example.com,2025-03-01\n", status="opt_in")
    assert said(known, "anna@example.com") == "opt_out"
    load(known, "anna@example.com,2025-04-01\n", status="opt_in")
    assert said(known, "anna@example.com") == "opt_in"


def test_importing_again_changes_nothing(known: Desk) -> None:
    assert load(known, "anna@example.com,2025-03-01\n").rows_new == 1
    assert load(known, "anna@example.com,2025-03-01\n").rows_new == 0


def test_a_file_in_another_encoding_is_read(known: Desk) -> None:
    file = known.ws.inbox / "utf16.csv"
    file.write_bytes("anna@example.com,2025-03-01\n".encode("utf-16"))
    report = import_file(known.ws, file, channel="email", subscription="dunning", status="opt_in", now=NOW)
    assert report.rows_loaded == 1


# -- the page ------------------------------------------------------------------------------------------------------
@pytest.fixture
def page(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    import anyio
    import httpx

    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())
    hook = Hook(desk, Signer())
    link = preference_link(desk.ws, "anna@example.com")
    assert link is not None
    path = link.removeprefix("https://preferences.northwind.example")

    def ask(method: str, form: dict[str, str] | None = None, path: str = path) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app=hook.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, data=form)

        return anyio.run(go)

    return ask


def recorded(desk: Desk) -> list[tuple[str, str]]:
    with reading(desk.engine) as connection:
        rows = connection.execute(select(consents.c.subscription, consents.c.status).order_by(consents.c.subscription))
        return [tuple(row) for row in rows]


def test_looking_at_the_page_changes_nothing(desk: Desk, page) -> None:
    answer = page("GET")
    assert answer.status_code == 200 and "anna@example.com" in answer.text
    assert len(re.findall("checked", answer.text)) == 2
    assert recorded(desk) == []


def test_one_click_unsubscribes_from_notices_and_not_from_reminders(desk: Desk, page) -> None:
    assert page("POST", {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert page("POST", {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert recorded(desk) == [("campaigns", "opt_out")]


def test_the_form_takes_both_choices_back_and_forth(desk: Desk, page, monkeypatch: pytest.MonkeyPatch) -> None:
    page("POST", {"form": "preferences", "campaigns": "yes"})
    assert recorded(desk) == [("dunning", "opt_out")]
    monkeypatch.setenv("DUNNING_NOW", (NOW + timedelta(minutes=1)).isoformat())
    assert "saved" in page("POST", {"form": "preferences", "campaigns": "yes", "dunning": "yes"}).text
    assert recorded(desk) == [("dunning", "opt_out"), ("dunning", "opt_in")]


@pytest.mark.parametrize(
    ("accepted", "language", "title"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "de", "Ihre Einstellungen"),
        ("en;q=0.4, fr-CA;q=0.8", "fr", "Vos préférences"),
        ("tlh, es;q=0.3", "es", "Sus preferencias"),
        ("", "en", "Your preferences"),
        ('"><script>;q=x', "en", "Your preferences"),
    ],
)
def test_the_page_speaks_the_readers_language(desk: Desk, accepted: str, language: str, title: str) -> None:
    token = str(preference_link(desk.ws, "acme@example.com")).rpartition("/")[2]
    shown = bytes(show_preferences(desk.ws, token, accepted=accepted).body).decode()
    assert f'<html lang="{language}">' in shown and f"<title>{title}</title>" in shown


def test_a_link_that_we_did_not_sign_is_refused(page) -> None:
    assert page("GET", path="/preferences/ImZvb0BiYXIi.x").status_code == 400
    assert page("POST", {"List-Unsubscribe": "One-Click"}, path="/preferences/forged").status_code == 400


def test_where_silence_is_a_no_a_tick_is_a_recorded_yes(workspace: Workspace) -> None:
    file = workspace.policies / "company.yaml"
    file.write_text(file.read_text().replace("consent_for_dunning: transactional", "consent_for_dunning: required"))
    desk = Desk(Workspace(workspace.root))
    token = str(preference_link(desk.ws, "acme@example.com")).rpartition("/")[2]

    assert b'name="dunning" value="yes">' in bytes(show_preferences(desk.ws, token).body)
    answer_preferences(desk.ws, token, {"form": "preferences", "campaigns": "yes", "dunning": "yes"}, now=NOW)
    assert recorded(desk) == [("dunning", "opt_in")]
    assert b'name="dunning" value="yes" checked>' in bytes(show_preferences(desk.ws, token).body)
