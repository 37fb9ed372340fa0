"""Two people edit one draft: what one of them changed is kept, what both changed is told, nothing typed is lost."""

import html
import re

import pytest
from sqlalchemy import select

from dunning_pipeline.ledger.schema import statements
from tests.console.world import NOW, Console

PATH = "/statements/st-kim/edit"


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())


def opened(console: Console, who: str) -> dict[str, str]:
    """The fields of the form as a browser would send them."""
    return fields_of(console.get(PATH, who=who).text)


def fields_of(text: str) -> dict[str, str]:
    form = text[text.index(f'action="{PATH}"') :].split("</form>")[0]
    fields = dict(re.findall(r'<input(?: type="(?:hidden|date)")? name="([^"]+)"[^>]*? value="([^"]*)"', form))
    fields |= dict(re.findall(r'(?s)<textarea name="([^"]+)"[^>]*>(.*?)</textarea>', form))
    fields |= dict(re.findall(r'<input type="checkbox" name="([^"]+)" value="([^"]+)" checked', form))
    return {name: html.unescape(value) for name, value in fields.items() if name != "csrf_token"} | {
        "to": "a@example.com"
    }


def stored(console: Console) -> dict[str, str]:
    return console.scalar(select(statements.c.texts).where(statements.c.statement_id == "st-kim"))


def test_the_second_to_save_sees_what_the_first_changed_and_keeps_both(console: Console) -> None:
    one, two = opened(console, "collector"), opened(console, "approver")
    assert console.post(PATH, who="collector", **one | {"text_subject": "First"}).status_code == 303

    answer = console.post(PATH, who="approver", **two | {"text_closing": "Second"})
    assert answer.status_code == 409 and "collector has changed this draft" in answer.text
    assert "The draft says now" in answer.text and "taken over" in answer.text
    again = fields_of(answer.text)
    assert (again["text_subject"], again["text_closing"]) == ("First", "Second")

    assert console.post(PATH, who="approver", **again).status_code == 303
    assert stored(console)["subject"] == "First" and stored(console)["closing"] == "Second"


def test_what_both_changed_stays_as_typed_and_is_told(console: Console) -> None:
    one, two = opened(console, "collector"), opened(console, "approver")
    console.post(PATH, who="collector", **one | {"text_subject": "Theirs", "due_date": "2025-11-28"})
    answer = console.post(PATH, who="approver", **two | {"text_subject": "Mine"})
    again = fields_of(answer.text)
    assert again["text_subject"] == "Mine" and again["due_date"] == "2025-11-28"
    assert "yours; saving replaces theirs:" in answer.text and "<td>Theirs</td>" in answer.text


def test_copying_the_text_saves_what_was_typed_first(console: Console) -> None:
    fields = opened(console, "collector") | {"text_subject": "Typed", "text_closing": ""}
    answer = console.post("/statements/st-kim/copy-text", who="collector", **fields)
    assert answer.status_code == 303, answer.text
    assert stored(console)["subject"] == "Typed" and stored(console)["closing"]
    stale = console.post("/statements/st-kim/copy-text", who="collector", **fields | {"text_subject": "Lost?"})
    assert stale.status_code == 409 and "Lost?" in stale.text
