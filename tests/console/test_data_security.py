"""What people must not do to each other's data: row scope, roles, scripts in names, formulas, paths, cookies."""

import re

import pytest
from sqlalchemy import func, select
from starlette.routing import Route
from starlette.testclient import TestClient

from dunning_pipeline.console import access, jobs
from dunning_pipeline.console.app import build_app
from dunning_pipeline.ledger.schema import audit
from dunning_pipeline.settings.workspace import Workspace
from tests.console.world import EVIL, NOW, Console

# the least role of every act; a new route must be named here
POSTS = {
    "/statements/act": "collector",
    "/statements/{statement_id}/edit": "collector",
    "/statements/{statement_id}/copy-text": "collector",
    "/statements/{statement_id}/close": "approver",
    "/statements/{statement_id}/release": "collector",
    "/statements/{statement_id}/delete": "collector",
    "/statements/{statement_id}/void": "approver",
    "/statements/{statement_id}/send": "collector",
    "/statements/{statement_id}/pdf": "collector",
    "/campaigns/{name}": "approver",
    "/consent/upload": "collector",
    "/consent/suppression": "collector",
    "/runs": "collector",
    "/runs/{run_id}/delete": "collector",
    "/dunning/new": "collector",
    "/sends/{key}/resolve": "collector",
    "/findings/act": "collector",
    "/accounts/{account_key:path}/block": "collector",
    "/accounts/{account_key:path}/unblock": "collector",
    "/accounts/{account_key:path}/promise": "collector",
    "/accounts/{account_key:path}/withdraw": "collector",
    "/accounts/{account_key:path}/postpone": "collector",
    "/calendar/subscribe": "viewer",
    "/accounts/{account_key:path}/assign": "collector",
    "/accounts/{account_key:path}/assignment-end": "collector",
    "/accounts/{account_key:path}/charge": "collector",
    "/accounts/{account_key:path}/notes": "collector",
    "/jobs/{job_id}/cancel": "viewer",
    "/simulate": "viewer",
    "/plans/{plan_key:path}": "collector",
    "/reports/{name}/mail": "collector",
    "/profiles/decide": "collector",
    "/profiles/withdraw": "collector",
    "/segments/{name}/publish": "approver",
    "/users": "admin",
    "/users/{user_id}": "admin",
    "/password": "viewer",
    "/logout": "viewer",
}


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())


# -- roles -----------------------------------------------------------------------------------------------------------


def test_every_act_is_named_with_its_role(console: Console) -> None:
    posts = {r.path for r in console.app.routes if isinstance(r, Route) and "POST" in (r.methods or ())}
    assert posts - {"/login"} == set(POSTS)


@pytest.mark.parametrize("path", sorted(POSTS))
def test_an_act_needs_its_role_the_token_and_a_session(console: Console, path: str) -> None:
    address = re.sub(r"{[\w:]+}", "x", path)
    for role in access.ROLES[: access.ROLES.index(POSTS[path])]:
        assert console.post(address, who=role).status_code == 403, role
    assert console.client.post(address, follow_redirects=False).headers["location"].startswith("/login")
    for wrong in ("", "guess", "ü"):
        assert console.post(address, csrf_token=wrong).status_code == 403


# -- row scope -------------------------------------------------------------------------------------------------------

FOREIGN_PAGES = [
    "/statements/st-lee", "/statements/st-lee/edit", "/statements/st-lee/send", "/statements/st-lee/pdf",
    "/statements/st-lee/preview/email", "/accounts/s:lee", "/accounts/lee", "/accounts/s:lee/holds",
    "/accounts/s:lee/why", "/accounts/s:lee/next",
    "/sends/sd-lee", "/plans/s:p-lee", "/find/invoice/s:i-lee", "/find/unified_account/U-lee",
    "/simulate?account=s:lee",
]  # fmt: skip
FOREIGN_ACTS = [
    *(f"/statements/st-lee/{act}" for act in ("edit", "copy-text", "close", "release", "delete")),
    *(f"/statements/st-lee/{act}" for act in ("void", "send", "pdf")),
    *(f"/accounts/s:lee/{act}" for act in ("block", "unblock", "promise", "withdraw", "postpone")),
    *(f"/accounts/s:lee/{act}" for act in ("assign", "assignment-end", "charge", "notes")),
    "/sends/sd-lee/resolve", "/plans/s:p-lee",
]  # fmt: skip


@pytest.mark.parametrize("path", FOREIGN_PAGES)
def test_somebody_elses_page_is_not_there(console: Console, path: str) -> None:
    assert console.get(path, who="kim").status_code == 404


@pytest.mark.parametrize("path", FOREIGN_ACTS)
def test_somebody_elses_record_is_not_changed(console: Console, path: str) -> None:
    before = console.scalar(select(func.count()).select_from(audit))
    answer = console.post(path, who="kim", reason="x", verdict="sent", body="x", invoice_key="s:i-lee")
    assert answer.status_code == 404
    assert console.scalar(select(func.count()).select_from(audit)) == before


@pytest.mark.parametrize("path", ["/", "/statements", "/sends", "/findings", "/accounts", "/runs/r", "/search?q=lee"])
def test_lists_show_ones_own_accounts_alone(console: Console, path: str) -> None:
    text = console.get(path, who="kim").text
    assert "lee &lt;" not in text and "Lee &lt;" not in text and "sd-lee" not in text and "st-lee" not in text


def test_somebody_elses_ticks_are_not_taken(console: Console) -> None:
    answer = console.post("/statements/act", who="kim", action="delete", statement_id="st-lee")
    assert answer.status_code == 422 and "nothing is selected" in answer.text
    answer = console.post("/dunning/new", who="kim", invoice="s:i-lee")
    assert answer.status_code == 404
    answer = console.post("/accounts/s:kim/postpone", who="kim", invoice_key="s:i-lee", postponed_to="2025-12-01")
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/audit", "/reports/ageing", "/segments/overdue_1_30", "/simulate?days=1"])
def test_what_is_about_all_accounts_is_closed_to_a_scoped_user(console: Console, path: str) -> None:
    assert console.get(path, who="kim").status_code == 403


def test_one_does_not_see_or_stop_or_fetch_anothers_long_action(console: Console) -> None:
    job = jobs.enqueue(console.app.state.engine, action="none", arguments={"ids": []}, total=0, actor="admin")
    for path in (f"/jobs/{job}", f"/jobs/{job}/result"):
        assert console.get(path, who="collector").status_code == 404
    assert console.post(f"/jobs/{job}/cancel", who="collector").status_code == 404


# -- scripts, formulas, paths, cookies -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/", "/statements", "/statements/st-lee", "/statements/st-lee/edit", "/statements/st-lee/send", "/sends",
        "/sends/sd-lee", "/findings", "/accounts", "/accounts/s:lee", "/accounts/s:lee/holds", "/audit", "/users",
        f"/search?q={EVIL}", f"/statements?q={EVIL}&level={EVIL}&sort={EVIL}&page={EVIL}", f"/?notice={EVIL}",
        f"/audit?actor={EVIL}", f"/calendar?day={EVIL}", "/plans/s:p-lee",
    ],
)  # fmt: skip
def test_a_script_in_a_name_stays_a_name(console: Console, path: str) -> None:
    answer = console.get(path)
    assert answer.status_code == 200
    assert EVIL not in answer.text
    assert "alert(1)" in answer.text or path.startswith(("/calendar", "/audit"))


def test_a_script_in_an_uploaded_file_and_in_a_mistake_stays_text(console: Console) -> None:
    file = ("x.csv", f"email,date\n{EVIL}@example.com,{EVIL}\n".encode(), "text/csv")
    answer = console.post("/consent/upload", files={"file": file}, channel="email", status="opt_out")
    assert answer.status_code in (200, 422) and EVIL not in answer.text
    answer = console.post("/accounts/s:lee/promise", promised_for=EVIL, note=EVIL)
    assert answer.status_code == 422 and EVIL not in answer.text and "alert(1)" in answer.text


def test_the_mail_preview_runs_nothing(console: Console) -> None:
    answer = console.get("/statements/st-lee/preview/email")
    assert EVIL not in answer.text
    assert answer.status_code == 200, answer.text
    assert "sandbox" in answer.headers["content-security-policy"]


def test_a_formula_in_a_csv_is_text(console: Console) -> None:
    lines = console.get("/reports/fee_yield.csv").text.splitlines()
    assert lines[0] == "type,currency,charged" and sorted(line[0] for line in lines[1:]) == ["'", "'"]
    assert ",'+A1," in "".join(lines)


@pytest.mark.parametrize(
    "path",
    [
        "/jobs/..%2f..%2fledger.sqlite/result", "/jobs/../../ledger.sqlite/result", "/templates/..%2f..%2fx/en/email",
        "/templates/../policies/en/email", "/reports/..%2fledger.csv", "/processes/..%2fcompany",
        "/statements/..%2f..%2fledger/pdf", "/segments/..%2fx", "/static/..%2f..%2fapp.py", "/campaigns/..%2fx",
    ],
)  # fmt: skip
def test_paths_lead_nowhere(console: Console, path: str) -> None:
    answer = console.get(path)
    assert answer.status_code == 404 and "SQLite" not in answer.text


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_session_cookie_is_for_this_site_alone(console: Console, scheme: str) -> None:
    password = "correct horse battery staple"
    with console.app.state.engine.begin() as connection:
        access.add_user(connection, login=f"cookie-{scheme}", name="c", role="viewer", password=password)
    with TestClient(console.app, base_url=f"{scheme}://testserver") as client:
        answer = client.post("/login", data={"login": f"cookie-{scheme}", "password": password}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and ("secure" in cookie) == (scheme == "https")


# -- what was typed wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("/accounts/s:kim/promise", {"promised_for": "31.12.2025"}, "no date"),
        ("/accounts/s:kim/promise", {"promised_for": "2025-12-01", "amount": "NaN", "currency": "EUR"}, "no amount"),
        ("/accounts/s:kim/promise", {"promised_for": "2025-12-01", "amount": "1e40", "currency": "EUR"}, "no amount"),
        ("/accounts/s:kim/promise", {"promised_for": "2025-12-01", "amount": "-5", "currency": "EUR"}, "more than 0"),
        ("/accounts/s:kim/promise", {"promised_for": "2025-12-01", "amount": "5"}, "currency"),
        ("/accounts/s:kim/block", {"reason": "x" * 3000}, "too long"),
        ("/accounts/s:kim/block", {"reason": "a\x00b"}, "cannot be stored"),
        ("/accounts/s:kim/block", {"reason": "x", "valid_to": "2020-01-01"}, "end before it begins"),
        ("/accounts/s:kim/notes", {"body": "x" * 5000}, "1 to 4000"),
        ("/accounts/s:kim/promise", {"promised_for": "2025-12-01", "amount": "1.234", "currency": "EUR"}, "no amount"),
        ("/accounts/s:kim/withdraw", {"promise_id": "gone", "reason": "kept"}, "no such promise"),
        ("/dunning/new", {"invoice": "nowhere", "level": "2"}, "no such invoice"),
        ("/reports/ageing/mail", {"to": "no address"}, "no address"),
        ("/users", {"login": "mailed", "role": "viewer", "email": "no address"}, "no address"),
        ("/runs", {"date": "tomorrow"}, "no date"),
        ("/runs", {"date": "2025-11-03", "levels": "²"}, "levels are numbers"),
        ("/statements/st-kim/edit", {"due_date": "yesterday", "text_subject": "kept"}, "kept"),
        ("/statements/st-kim/edit", {"due_date": "2025-11-20", "to": "no address", "text_subject": "kept"}, "kept"),
        ("/statements/st-kim/edit", {"due_date": "2025-11-20", "row_version": "0", "text_subject": "kept"}, "changed"),
        ("/consent/suppression", {"contact_point": "a@example.com", "action": "add"}, "a reason is needed"),
        ("/campaigns/upcoming-due-dates", {"action": "plan", "at": "soon"}, "no date and time"),
        ("/campaigns/upcoming-due-dates", {"action": "plan", "at": "2020-01-01T09:00"}, "past"),
        ("/users", {"login": "x" * 90, "role": "viewer"}, "1 to 80"),
        ("/users", {"login": "eve", "role": "king"}, "no such role"),
        ("/users/gone", {"role": "viewer"}, "no such user"),
        ("/accounts/s:kim/postpone", {"invoice_key": "s:i-kim", "postponed_to": "soon", "reason": "x"}, "no date"),
        ("/accounts/s:kim/assign", {"process": "nonsense", "reason": "x"}, "nonsense"),
        ("/accounts/s:kim/assign", {"process": "none", "reason": "x", "valid_to": "31/12"}, "no date"),
        ("/accounts/s:kim/assignment-end", {"bill_group_key": "s:kim", "reason": ""}, "a reason is needed"),
        ("/accounts/s:kim/assignment-end", {"bill_group_key": "s:kim", "reason": "kept"}, "assigned by hand"),
        ("/accounts/s:kim/unblock", {"block_id": "gone", "reason": "kept"}, "no such block"),
        ("/accounts/s:kim/charge", {"posting_id": "gone", "amount": "5", "reason": "kept"}, "no such charge"),
        ("/consent/suppression", {"contact_point": "no address", "action": "add", "reason": "kept"}, "no address"),
        ("/consent/upload", {"channel": "email", "status": "opt_out", "content": ""}, "choose a CSV"),
        ("/campaigns/upcoming-due-dates", {"action": "dance"}, "no action"),
        ("/campaigns/upcoming-due-dates", {"action": "move", "occurrence": "2025-12-01T09:00", "to": "x"}, "no date"),
        ("/dunning/new", {"invoice": "s:i-kim", "level": "two"}, "a level is a number"),
        ("/findings/act", {"action": "done", "reason": "kept"}, "nothing is selected"),
        ("/findings/act", {"action": "reopen", "finding_id": "x"}, "say why"),
        ("/findings/act", {"action": "assign", "finding_id": "x", "assignee": "nobody"}, "no such person"),
        ("/sends/sd-kim/resolve", {"verdict": "maybe"}, "whether it was sent"),
        ("/simulate", {"days": "3", "process": "nonsense"}, "no such process"),
        ("/statements/act", {"action": "close", "which": "selected"}, "nothing is selected"),
        ("/statements/st-kim/close", {"row_version": "7"}, "was changed since"),
        ("/statements/st-kim/send", {"channels": "email", "to": "nowhere", "body": "kept"}, "nowhere"),
        ("/statements/st-kim/release", {"reason": ""}, "reason"),
        ("/statements/st-kim/void", {"reason": "kept"}, "draft"),
        ("/statements/st-closed/edit", {"due_date": "2025-11-20", "text_subject": "kept"}, "kept"),
        ("/statements/st-closed/edit", {"due_date": "2025-11-20", "text_subject": "kept"}, "closed"),
        ("/statements/st-closed/delete", {}, "only drafts"),
        ("/statements/st-closed/copy-text", {}, "closed"),
        ("/statements/gone/edit", {"text_subject": "kept"}, "no such statement"),
        ("/runs/gone/delete", {}, "no such run"),
    ],
)
def test_a_wrong_input_says_what_to_do_and_gives_back_what_was_typed(
    console: Console, path: str, fields: dict[str, str], said: str
) -> None:
    answer = console.post(path, **fields)
    assert answer.status_code in (404, 409, 422) and said in answer.text, answer.text
    assert "`dunning " not in answer.text and "<h1>Error" not in answer.text
    for value in fields.values():
        if "\x00" not in value and value != "0":
            assert value in answer.text


def test_what_is_gone_is_said_to_be_gone(console: Console) -> None:
    for path in ("/statements/gone", "/sends/gone", "/runs/gone", "/campaigns/gone", "/segments/gone", "/jobs/gone"):
        assert console.get(path).status_code == 404
    assert console.post("/accounts/s:kim/unblock", block_id="gone").status_code == 404
    assert console.post("/runs/gone/delete").status_code in (404, 422)


@pytest.mark.parametrize("query", ["page=²", "page=-1", "page=99999999999999999999", "level=²", "level=" + "9" * 30])
def test_a_wrong_address_line_is_no_failure(console: Console, query: str) -> None:
    assert console.get(f"/statements?{query}").status_code == 200


# -- the calendar, and an empty workspace ------------------------------------------------------------------------------


def test_a_moved_occurrence_is_planned_once_and_at_its_new_time(console: Console) -> None:
    path = "/campaigns/upcoming-due-dates"
    assert console.post(path, action="plan", at="2025-12-01T09:00").status_code == 303
    assert console.post(path, action="move", occurrence="2025-12-01T09:00", to="2025-12-02T10:00").status_code == 303
    text = console.get("/calendar?day=2025-12-02").text
    assert "10:00" in text and "2025-12-02T10:00" in text


def test_nothing_published_says_what_to_do(workspace: Workspace) -> None:
    app = build_app(workspace, requests_per_minute=100_000)
    with app.state.engine.begin() as connection:
        user = access.add_user(connection, login="u", name="u", role="viewer", password=None, row_scope="Kim")
        token = access.open_session(connection, user)
    with TestClient(app) as client:
        for path in ("/", "/accounts", "/statements", "/segments", "/reports", "/calendar", "/findings"):
            answer = client.get(path, headers={"Cookie": f"dunning_session={token}"})
            assert answer.status_code == 200 and "Nothing is published yet." in answer.text
