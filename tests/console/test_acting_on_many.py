"""One action on many statements: all of a filter over more than a page, asked back with count and sums, done once."""

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from dunning_pipeline.console.jobs import run_next
from dunning_pipeline.ledger.schema import jobs, statements
from tests.console.world import NOW, Console

DRAFTS = 120


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())


def add_drafts(console: Console, count: int, *, currency: str, first: int = 0) -> None:
    with console.app.state.engine.begin() as connection:
        row = dict(connection.execute(select(statements).where(statements.c.statement_id == "st-kim")).mappings().one())
        for n in range(first, first + count):
            own = {"statement_id": f"{currency}{n:03}", "draft_key": f"{currency}{n:03}", "currency": currency}
            connection.execute(insert(statements).values(**row | own | {"hold_reason": None}))


def jobs_of(console: Console, action: str) -> list[list[str]]:
    with console.app.state.engine.connect() as connection:
        return [a["ids"] for a in connection.scalars(select(jobs.c.arguments).where(jobs.c.action == action))]


def test_all_of_a_filter_is_more_than_its_page_and_is_asked_back_first(console: Console) -> None:
    add_drafts(console, DRAFTS, currency="USD")
    path = "/statements/act?status=draft&currency=USD"
    asked = console.post(path, action="delete", which="filter")
    assert asked.status_code == 200 and f"{DRAFTS} statements" in asked.text and "$120.00" in asked.text
    assert "/statements/act?status=draft&amp;currency=USD" in asked.text and not jobs_of(console, "delete_statements")

    add_drafts(console, 1, currency="USD", first=DRAFTS)  # somebody's run adds one while the question is read
    again = console.post(path, action="delete", which="filter", confirm=str(DRAFTS))
    assert again.status_code == 200 and "The list has changed" in again.text
    assert not jobs_of(console, "delete_statements")

    done = console.post(path, action="delete", which="filter", confirm=str(DRAFTS + 1))
    assert done.status_code == 303 and [len(ids) for ids in jobs_of(console, "delete_statements")] == [DRAFTS + 1]
    assert run_next(console.workspace, console.app.state.engine)
    living = select(func.count()).where(statements.c.currency == "USD", statements.c.status == "draft")
    assert console.scalar(living) == 0
    assert f"{DRAFTS + 1} drafts deleted" in console.get(done.headers["location"]).text


def test_the_ticked_are_asked_back_and_only_they_are_taken(console: Console) -> None:
    add_drafts(console, 3, currency="GBP")
    asked = console.post("/statements/act", action="delete", statement_id=["GBP000", "GBP002"])
    assert "2 statements" in asked.text and 'value="GBP002"' in asked.text and "GBP001" not in asked.text
    console.post("/statements/act", action="delete", statement_id=["GBP000", "GBP002"], confirm="2")
    assert jobs_of(console, "delete_statements")[-1] == ["GBP000", "GBP002"]


@pytest.mark.parametrize("action", ["close", "send", "distribute"])
def test_no_action_of_weight_begins_without_the_question(console: Console, action: str) -> None:
    before = len(jobs_of(console, f"{action}_statements"))
    assert console.post("/statements/act", action=action, statement_id="st-kim").status_code == 200
    assert len(jobs_of(console, f"{action}_statements")) == before
    assert console.post("/statements/act", action=action, statement_id="st-kim", confirm="1").status_code == 303
    assert len(jobs_of(console, f"{action}_statements")) == before + 1


def test_what_was_closed_and_never_queued_is_on_the_first_page(console: Console) -> None:
    with console.app.state.engine.begin() as connection:
        row = dict(connection.execute(select(statements).where(statements.c.statement_id == "st-kim")).mappings().one())
        row |= {"status": "closed", "hold_reason": None, "currency": "CHF"}
        for name, hours in (("old", 25), ("new", 23)):
            own = {"statement_id": name, "draft_key": None, "number": name, "closed_at": NOW - timedelta(hours=hours)}
            connection.execute(insert(statements).values(**row | own))
    assert "closed for more than 24 h, never queued" in console.get("/").text
    listed = console.get("/statements?unsent=1&status=closed&currency=CHF").text
    assert "/statements/old" in listed and "/statements/new" not in listed
