"""A notice is told once, by the page that follows the act, to whom it was meant for; nobody else can write one."""

from starlette.applications import Starlette
from starlette.testclient import TestClient

from dunning_pipeline.console import access, notices
from tests.console.conftest import PASSWORD, Person
from tests.console.world import EVIL, Console

FORGED = "Call +1 900 555 0100 and give your password."


def test_a_notice_is_told_once_and_never_in_the_address(browser: Person) -> None:
    browser.log_in("admin")
    answer = browser.post("/users", login="ann", name="Ann", role="viewer")
    user_id = answer.text.split("<td>ann</td>")[1].split('action="/users/')[1].split('"')[0]
    answer = browser.post(f"/users/{user_id}", role="viewer", is_active="1")
    assert answer.headers["location"] == "/users"
    assert "Saved." not in browser.client.get("/users", headers={"HX-Request": "true"}).text  # a part of some page
    assert '<p class="notice" role="status" tabindex="-1" autofocus>Saved.</p>' in browser.client.get("/users").text
    assert 'role="status"' not in browser.client.get("/users").text


def test_nobody_can_forge_a_notice(console: Console) -> None:
    assert FORGED not in console.get(f"/?notice={FORGED}").text
    lee = access.User(
        user_id="x", login="x", name="x", role="viewer", language=None, row_scope=None, must_change_password=False,
        csrf_token=console.csrf["viewer"],
    )  # fmt: skip
    for forged in (FORGED, notices._signer(lee).dumps(FORGED)):  # bare, and signed by another session
        cookie = f"dunning_session={console.tokens['admin']}; {notices.COOKIE}={forged}"
        assert FORGED not in console.client.get("/", headers={"Cookie": cookie}).text
    assert FORGED not in console.client.get("/login", headers={"Cookie": f"{notices.COOKIE}={forged}"}).text


def test_a_notice_is_text_and_its_cookie_is_out_of_reach_of_scripts(console: Console) -> None:
    answer = console.post("/accounts/s:kim/notes", body=EVIL)
    assert "The note is added." in console.told(answer)
    set_cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(notices.COOKIE)).lower()
    assert "httponly" in set_cookie and "max-age=60" in set_cookie and "samesite=lax" in set_cookie


def test_the_notice_of_a_changed_password_is_told_by_the_new_session(app: Starlette) -> None:
    with TestClient(app) as client:
        person = Person(client).log_in("viewer")
        new = "another horse, another battery"
        assert person.post("/password", old=PASSWORD, new=new, again=new).status_code == 303
        assert "Your password is changed." in client.get("/").text
