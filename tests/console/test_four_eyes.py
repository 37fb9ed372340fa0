"""A dunned company in the console: closing above the amount, the PDF, voiding, dunning for one invoice."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from dunning_pipeline.console import access
from dunning_pipeline.console.app import build_app
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.schema import audit
from dunning_pipeline.settings.workspace import Workspace
from tests.console.world import Console
from tests.scenarios.world import World

DAY = "2026-01-08"


@pytest.fixture
def world(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("DUNNING_NOW", f"{DAY}T09:00:00+00:00")
    world = World(workspace)
    world.company(four_eyes_above="{EUR: '500'}")
    world.invoice("INV-1", due="2026-01-01", amount="900.00 EUR")
    world.publish()
    return world


@pytest.fixture
def console(world: World) -> Iterator[Console]:
    app = build_app(world.ws, requests_per_minute=100_000)
    tokens, csrf = {}, {}
    with app.state.engine.begin() as connection:
        for login in ("anna", "berta"):
            user = access.add_user(connection, login=login, name=login, role="approver", password=None)
            tokens[login] = access.open_session(connection, user)
    for login, token in tokens.items():
        user = access.user_of(app.state.engine, token)
        assert user is not None
        csrf[login] = user.csrf_token
    with TestClient(app) as client:
        yield Console(app, world.ws, client, tokens, csrf)


def acts(world: World) -> list[tuple[str, str]]:
    with open_ledger(world.ws).connect() as connection:
        return list(connection.execute(select(audit.c.action, audit.c.actor).order_by(audit.c.at)).tuples())


def test_above_the_amount_the_first_click_asks_and_a_second_person_closes(console: Console, world: World) -> None:
    answer = console.post("/dunning/new", who="anna", invoice="salesforce:INV-1")
    assert answer.status_code == 303, answer.text
    page = answer.headers["location"].split("?")[0]
    assert "a second person closes" in console.get(page, who="anna").text

    for _ in range(2):  # the same person twice is one person
        answer = console.post(f"{page}/close", who="anna")
        assert answer.status_code == 422 and "a second person closes it" in answer.text
    shown = console.get(page, who="berta").text
    assert "anna wants it closed" in shown and "badge draft" in shown
    assert console.post(f"{page}/close", who="berta").status_code == 303
    assert "badge closed" in console.get(page, who="anna").text

    assert console.post(f"{page}/pdf", who="anna").status_code == 303
    assert console.get(f"{page}/pdf", who="anna").content.startswith(b"%PDF-")
    assert console.post(f"{page}/void", who="anna", reason="").status_code == 422
    assert console.post(f"{page}/void", who="anna", reason="paid by phone").status_code == 303
    found = acts(world)
    for act in [("statement.close.asked", "anna"), ("statement.close", "berta"), ("statement.pdf", "anna")]:
        assert act in found
    assert ("statement.void", "anna") in found
