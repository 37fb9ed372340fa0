"""The calendar's secret address, one-time passwords for those locked out, the language that stays, amounts as typed."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from icalendar import Calendar
from sqlalchemy import select
from starlette.testclient import TestClient

from dunning_pipeline.console import access
from dunning_pipeline.console.wording import Wording
from dunning_pipeline.ledger.schema import promises, users
from tests.console.world import NOW, Console


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())


def address(console: Console, who: str) -> str:
    return re.search(
        r"<code>http://testserver(/calendar/[^<]+\.ics)</code>", console.post("/calendar/subscribe", who=who).text
    )[1]


def test_a_calendar_program_reads_the_feed_without_a_session(console: Console) -> None:
    first = address(console, "viewer")
    with TestClient(console.app) as program:
        answer = program.get(first, follow_redirects=False)
        assert answer.status_code == 200 and Calendar.from_ical(answer.text)
        forged = first[:-5] + ("x" if first[-5] != "x" else "y") + ".ics"
        assert program.get(forged).status_code == 404
        assert program.get(first.replace(console.user_id("viewer"), console.user_id("admin"))).status_code == 404
        second = address(console, "viewer")
        assert program.get(first).status_code == 404 and program.get(second).status_code == 200
        with console.app.state.engine.begin() as connection:
            connection.execute(users.update().where(users.c.login == "viewer").values(is_active=False))
        assert program.get(second).status_code == 404
        with console.app.state.engine.begin() as connection:
            connection.execute(users.update().where(users.c.login == "viewer").values(is_active=True))


def test_somebody_locked_out_gets_a_one_time_password(console: Console) -> None:
    locked = access.instant_of_access() + timedelta(minutes=15)
    with console.app.state.engine.begin() as connection:
        access.add_user(connection, login="lost", name="Lost", role="viewer", password=None)
        connection.execute(users.update().where(users.c.login == "lost").values(locked_until=locked))
    assert "locked until" in console.get("/users").text
    page = console.post(f"/users/{console.user_id('lost')}", action="password").text
    password = re.search(r"<code>([^<]+)</code></p>", page)[1]
    with TestClient(console.app) as client:
        answer = client.post("/login", data={"login": "lost", "password": password}, follow_redirects=False)
        assert answer.status_code == 303
        assert client.get("/", follow_redirects=False).headers["location"] == "/password"
    assert console.post(f"/users/{console.user_id('lost')}", who="approver", action="password").status_code == 403


def test_the_language_that_was_chosen_stays(console: Console) -> None:
    with TestClient(console.app, cookies={"dunning_session": console.tokens["viewer"]}) as client:
        assert '<html lang="en">' in client.get("/").text
        assert '<html lang="de">' in client.get("/?language=de").text
        assert '<html lang="de">' in client.get("/statements").text
        assert 'href="/?language=en"' in client.get("/").text
        assert "language=de" not in client.get("/statements?language=de&status=draft").text.replace('lang="de"', "")


@pytest.mark.parametrize(
    ("language", "text", "amount"),
    [
        ("de", "1.234,56", "1234.56"), ("de", "1234,5", "1234.5"), ("de", "1234.56", "1234.56"),
        ("de", "1.234", "1234"),
        ("en", "1,234.56", "1234.56"), ("en", "1234.5", "1234.5"), ("de", "-3,00", "-3"),
    ],
)  # fmt: skip
def test_an_amount_is_read_as_the_language_writes_it(language: str, text: str, amount: str) -> None:
    assert Wording(language).read_amount(text) == Decimal(amount)


def test_a_german_amount_is_promised(console: Console) -> None:
    path = "/accounts/s:kim/promise?language=de"
    answer = console.post(path, promised_for="2025-12-02", amount="1.234,56", currency="EUR")
    assert answer.status_code == 303, answer.text
    assert console.scalar(select(promises.c.amount_minor).where(promises.c.amount_minor.is_not(None))) == 123456
