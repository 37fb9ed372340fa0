"""Who may come in, and what they may do once inside."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dunning_pipeline.console import access
from dunning_pipeline.console.app import build_app
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.schema import audit, sessions, users
from dunning_pipeline.settings.workspace import Workspace
from tests.console.conftest import PASSWORD, Person

PAGES = ["/", "/statements", "/runs", "/sends", "/findings", "/accounts", "/jobs", "/search?q=x"]


@pytest.mark.parametrize("page", [*PAGES, "/audit", "/users", "/statements/1", "/accounts/1"])
def test_without_a_session_every_page_leads_to_the_login(browser: Person, page: str) -> None:
    answer = browser.client.get(page, follow_redirects=False)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/login?next=")


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_reads(browser: Person, page: str) -> None:
    assert browser.log_in("viewer").client.get(page).status_code == 200


def test_a_form_that_is_sent_after_the_session_ended_is_given_back(browser: Person) -> None:
    page = "http://testserver/accounts/s:kim?page=2"
    typed = {"body": "called, pays <b>Friday</b>", "reason": "", "csrf_token": "old", "password": "secret word"}
    headers = {"Origin": "http://testserver", "Referer": page}
    answer = browser.client.post("/accounts/s:kim/notes", data=typed, headers=headers, follow_redirects=False)
    assert answer.status_code == 401 and "your session has ended, and nothing was saved" in answer.text
    assert "called, pays &lt;b&gt;Friday&lt;/b&gt;" in answer.text and "secret word" not in answer.text
    assert 'name="next" value="/accounts/s:kim?page=2"' in answer.text
    for other in ({"Origin": "https://evil.example"}, {"Content-Length": "300000"}):
        refused = browser.client.post(
            "/accounts/s:kim/notes", data=typed, headers=headers | other, follow_redirects=False
        )
        assert refused.status_code == 303 and "Friday" not in refused.text


def test_the_login_leads_back_to_the_list_as_it_was_filtered(browser: Person) -> None:
    answer = browser.client.get("/statements?status=draft&page=2", follow_redirects=False)
    assert answer.headers["location"] == "/login?next=%2Fstatements%3Fstatus%3Ddraft%26page%3D2"


@pytest.mark.parametrize(
    ("login", "page", "status"),
    [("viewer", "/audit", 403), ("approver", "/audit", 200), ("approver", "/users", 403), ("admin", "/users", 200)],
)
def test_a_page_above_ones_role_is_refused(browser: Person, login: str, page: str, status: int) -> None:
    assert browser.log_in(login).client.get(page).status_code == status


def test_a_viewer_changes_nothing(browser: Person) -> None:
    browser.log_in("viewer")
    assert browser.post("/findings/act", finding_id="x").status_code == 403
    assert browser.post("/users", login="eve", role="admin").status_code == 403


def test_a_form_without_the_sessions_token_changes_nothing(browser: Person, app: Starlette) -> None:
    browser.log_in("admin")
    for token in ("", "guess"):
        assert (
            browser.client.post("/users", data={"csrf_token": token, "login": "eve", "role": "admin"}).status_code
            == 403
        )
    with app.state.engine.connect() as connection:
        assert connection.execute(select(users).where(users.c.login == "eve")).first() is None


def test_a_login_form_from_another_site_is_refused(browser: Person) -> None:
    answer = browser.client.post(
        "/login", data={"login": "admin", "password": PASSWORD}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403


def test_a_session_set_by_somebody_else_is_replaced_at_login(browser: Person) -> None:
    answer = browser.client.post(
        "/login",
        data={"login": "viewer", "password": PASSWORD},
        headers={"Cookie": "dunning_session=fixed-by-an-attacker"},
        follow_redirects=False,
    )
    assert "dunning_session=" in answer.headers["set-cookie"]
    assert "fixed-by-an-attacker" not in answer.headers["set-cookie"] and "HttpOnly" in answer.headers["set-cookie"]


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "evil"])
def test_the_login_leads_only_to_this_console(browser: Person, target: str) -> None:
    answer = browser.client.post(
        "/login", data={"login": "viewer", "password": PASSWORD, "next": target}, follow_redirects=False
    )
    assert answer.headers["location"] == "/"


def test_five_wrong_passwords_lock_the_login_even_for_the_right_one(app: Starlette) -> None:
    engine = app.state.engine
    for _ in range(access.LOCK_AFTER_FAILURES):
        with pytest.raises(access.Refused, match="wrong"):
            access.log_in(engine, login="viewer", password="not this one")
    with pytest.raises(access.Refused, match="too many"):
        access.log_in(engine, login="viewer", password=PASSWORD)
    with engine.begin() as connection:
        connection.execute(users.update().values(locked_until=datetime.now(UTC) - timedelta(seconds=1)))
    assert access.log_in(engine, login="viewer", password=PASSWORD)


def test_an_unknown_login_is_answered_like_a_wrong_password(browser: Person) -> None:
    texts = {
        re.sub(r'value="[^"]*"', "", browser.client.post("/login", data={"login": login, "password": "x"}).text)
        for login in ("viewer", "nobody")
    }
    assert len(texts) == 1


def test_many_logins_in_a_minute_are_slowed_down(app: Starlette) -> None:
    with TestClient(app) as client:
        answers = [client.post("/login", data={"login": f"n{i}", "password": "x"}).status_code for i in range(12)]
    assert answers[-1] == 429 and answers[0] == 401


def test_a_session_ends_by_time_by_idleness_and_by_logout(browser: Person, app: Starlette) -> None:
    browser.log_in("viewer")
    with app.state.engine.begin() as connection:
        connection.execute(sessions.update().values(seen_at=datetime.now(UTC) - timedelta(minutes=61)))
    assert browser.client.get("/", follow_redirects=False).status_code == 303
    browser.log_in("viewer")
    with app.state.engine.begin() as connection:
        connection.execute(sessions.update().values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert browser.client.get("/", follow_redirects=False).status_code == 303
    browser.log_in("viewer")
    token = browser.client.cookies["dunning_session"]
    browser.post("/logout")
    answer = browser.client.get("/", headers={"Cookie": f"dunning_session={token}"}, follow_redirects=False)
    assert answer.status_code == 303


def test_the_first_start_makes_one_admin_whose_password_must_be_changed(workspace: Workspace) -> None:
    engine = open_ledger(workspace)
    password = access.make_first_admin(engine)
    assert password and access.make_first_admin(engine) is None
    with TestClient(build_app(workspace)) as client:
        person = Person(client).log_in("admin", password)
        assert client.get("/users", follow_redirects=False).headers["location"] == "/password"
        page = client.get("/password").text
        token = page.split('name="csrf_token" value="')[1].split('"')[0]
        fields = {"csrf_token": token, "old": password, "new": PASSWORD, "again": PASSWORD}
        assert client.post("/password", data=fields, follow_redirects=False).status_code == 303
        assert client.get("/users").status_code == 200
        assert person.client.cookies["dunning_session"]


def test_passwords_and_session_tokens_are_not_in_the_ledger(browser: Person, app: Starlette) -> None:
    browser.log_in("viewer")
    with app.state.engine.connect() as connection:
        stored = str(connection.execute(select(users)).all()) + str(connection.execute(select(sessions)).all())
    assert PASSWORD not in stored and browser.client.cookies["dunning_session"] not in stored


def test_an_admin_adds_a_user_who_must_change_the_one_time_password_and_it_is_audited(
    browser: Person, app: Starlette
) -> None:
    answer = browser.log_in("admin").post("/users", login="Anna", name="<b>Anna</b>", role="collector", row_scope="Kim")
    assert "One-time password of anna" in answer.text and "<b>Anna</b>" not in answer.text
    with app.state.engine.connect() as connection:
        anna = connection.execute(select(users).where(users.c.login == "anna")).mappings().one()
        recorded = connection.execute(select(audit.c.after).where(audit.c.action == "add_user")).scalar_one()
    assert (anna["role"], anna["row_scope"], anna["must_change_password"]) == ("collector", "Kim", True)
    assert recorded == {"login": "anna", "role": "collector"}


def test_an_admin_cannot_lock_everybody_out(browser: Person, app: Starlette) -> None:
    browser.log_in("admin")
    with app.state.engine.connect() as connection:
        user_id = connection.execute(select(users.c.user_id).where(users.c.login == "admin")).scalar_one()
    assert browser.post(f"/users/{user_id}", role="viewer", is_active="1").status_code == 422


@pytest.mark.parametrize("page", ["/login", "/static/console.css", "/static/../access.py"])
def test_every_answer_carries_the_security_headers(browser: Person, page: str) -> None:
    headers = browser.client.get(page).headers
    assert (
        "script-src 'self'" in headers["content-security-policy"]
        and "unsafe-inline" not in headers["content-security-policy"]
    )
    assert headers["x-content-type-options"] == "nosniff"


def test_static_files_stay_in_their_folder(browser: Person) -> None:
    for path in ("/static/..%2faccess.py", "/static/%2e%2e/access.py", "/static/....//access.py"):
        assert browser.client.get(path).status_code == 404


def test_no_page_holds_an_inline_script_or_style_or_names_another_host(browser: Person) -> None:
    browser.log_in("admin")
    for page in [*PAGES, "/audit", "/users", "/login"]:
        text = browser.client.get(page).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=|<style", text), page
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", text), page
