"""Long actions tell how far they are and can be stopped; findings are given to somebody; large scopes and odd ids."""

import re

import duckdb
import pytest
from sqlalchemy import select

from dunning_pipeline.console import access, jobs, lookups, scope
from dunning_pipeline.console.pages import deciding, simulating
from dunning_pipeline.console.remedies import for_clerk
from dunning_pipeline.dunning.scope import Scope
from dunning_pipeline.dunning.simulate import Played
from dunning_pipeline.ledger.processes import process_mark
from dunning_pipeline.ledger.schema import findings
from dunning_pipeline.ledger.schema import jobs as rows
from tests.console.world import NOW, Console

RUN_NEXT = jobs.run_next  # the fixture keeps the server's own worker from taking jobs


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())


def run_waiting(console: Console, *, looks: bool = False) -> None:
    while RUN_NEXT(console.workspace, console.app.state.engine, looks=looks):
        pass


def job_of(console: Console, answer):  # type: ignore[no-untyped-def]
    assert answer.status_code == 303, answer.text
    job_id = re.split("[/=]", answer.headers["location"])[-1]
    with console.app.state.engine.connect() as connection:
        return connection.execute(select(rows).where(rows.c.job_id == job_id)).mappings().one()


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Scope]:
    """The scopes that were played; each day has one statement of Kim."""
    scopes = []

    def play(_ws, *, start, days, scope, pays, progress):  # type: ignore[no-untyped-def]
        scopes.append(scope)
        for day in range(days):
            progress("playing", day + 1, days)
        return [Played(start, "kim", "Kim <b>", "standard", 1, "First", '["email"]', "EUR", 12_300, 2)] * 2

    monkeypatch.setattr(simulating, "simulate", play)
    return scopes


def test_a_simulation_is_played_in_the_background_and_shown_from_its_job(console: Console, played) -> None:  # type: ignore[no-untyped-def]
    answer = console.post("/simulate", days="5", pays="observed")
    job = job_of(console, answer)
    assert (job["action"], job["total"]) == ("simulate", 5)
    run_waiting(console)
    assert not played  # what only looks has a line of its own
    assert "badge queued" in console.get(answer.headers["location"]).text
    run_waiting(console, looks=True)
    assert "5 / 5" in console.get(f"/jobs/{job['job_id']}").text
    shown = console.get(answer.headers["location"]).text
    assert "€246.00" in shown and "Kim &lt;b&gt;" in shown and 'value="5"' in shown
    assert console.get(answer.headers["location"], who="viewer").status_code == 404


def test_an_account_is_played_in_the_background_too_and_its_result_is_kept(console: Console, played) -> None:  # type: ignore[no-untyped-def]
    mine = "/simulate?account=s:kim"
    assert "badge" not in console.get(mine, who="kim").text and not played
    answer = console.post("/simulate", account="kim", days="3", who="kim")
    assert not played  # the page answers at once
    assert "badge queued" in console.get(mine, who="kim").text
    run_waiting(console, looks=True)
    assert [scope.account for scope in played] == ["s:kim"]
    for page in (answer.headers["location"], mine):
        assert "Kim &lt;b&gt;" in console.get(page, who="kim").text
    assert "Kim &lt;b&gt;" not in console.get("/simulate?account=s:lee").text  # of another account, another person
    assert console.post("/simulate", account="lee", days="3", who="kim").status_code == 404
    assert console.post("/simulate", days="3", who="kim").status_code == 403


def test_a_run_tells_real_numbers_and_stops_at_its_next_step(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def long_run(_ws, *, progress, **_):  # type: ignore[no-untyped-def]
        progress("deciding", 0, 0)
        progress("writing drafts", 2_000, 6_000)
        with console.app.state.engine.connect() as connection:
            seen.append(connection.execute(select(rows.c.progress, rows.c.total).where(rows.c.job_id == job_id)).one())
        assert console.post(f"/jobs/{job_id}/cancel").status_code == 303
        progress("writing drafts", 4_000, 6_000)
        raise AssertionError("it went on though it was stopped")

    monkeypatch.setattr(deciding, "run", long_run)
    job_id = job_of(console, console.post("/runs", date="2025-11-03"))["job_id"]
    run_waiting(console)
    assert seen == [(2_000, 6_000)]
    assert "badge cancelled" in console.get(f"/jobs/{job_id}").text


def test_what_a_dead_server_had_begun_is_begun_again_and_a_live_ones_is_left(console: Console) -> None:
    engine = console.app.state.engine
    ours, theirs = (jobs.enqueue(engine, action="none", arguments={}, total=1, actor="admin") for _ in range(2))
    dead = process_mark().rsplit(":", 1)[0] + ":begun-long-ago"
    with engine.begin() as connection:
        for job_id, holder in ((ours, process_mark()), (theirs, dead)):
            connection.execute(rows.update().where(rows.c.job_id == job_id).values(status="running", claimed_by=holder))
    assert jobs.take_back(engine) == 1
    status = select(rows.c.status).where(rows.c.job_id.in_((ours, theirs))).order_by(rows.c.created_at)
    with engine.begin() as connection:
        assert list(connection.scalars(status)) == ["running", "queued"]
        connection.execute(rows.delete().where(rows.c.job_id.in_((ours, theirs))))


def test_a_finding_is_given_to_somebody_done_and_taken_up_again(console: Console) -> None:
    with console.app.state.engine.connect() as connection:
        mine = connection.scalar(select(findings.c.finding_id).where(findings.c.object_id == "s:kim"))
        other = connection.scalar(select(findings.c.finding_id).where(findings.c.object_id == "s:lee"))
    for login in ("viewer", "collector"):
        assert console.post("/findings/act", action="assign", assignee=login, finding_id=mine).status_code == 303
    assert mine in console.get("/findings?assignee=collector").text
    assert mine not in console.get("/findings?assignee=viewer").text  # it was passed on
    assert other not in console.get("/findings?assignee=collector").text
    assert console.post("/findings/act", action="done", finding_id=mine, who="kim").status_code == 303
    assert mine in console.get("/findings?status=done").text
    answer = console.post("/findings/act", action="reopen", finding_id=mine, reason="it came back")
    assert answer.status_code == 303 and mine in console.get("/findings").text
    assert "0 findings" in console.told(
        console.post("/findings/act", action="done", finding_id=other, who="kim"), "kim"
    )


@pytest.mark.parametrize("few", [0, 1_000], ids=["large", "small"])
def test_a_scope_of_any_size_shows_its_own_accounts_alone(
    console: Console, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(scope, "FEW", few)
    for path, mine, foreign in [
        ("/statements", "st-kim", "st-lee"),
        ("/sends", "sd-kim", "sd-lee"),
        ("/findings", "s:kim", "s:lee"),
        ("/accounts", "s%3Akim", "s%3Alee"),
    ]:
        text = console.get(path, who="kim").text
        assert mine in text and foreign not in text, path
    assert console.get("/statements/st-lee", who="kim").status_code == 404
    assert console.get("/statements/st-kim", who="kim").status_code == 200


def test_an_id_with_a_slash_has_its_pages_and_a_new_snapshot_is_seen(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    monkeypatch.setattr(lookups, "make_beside", begun.append)
    old = console.workspace.serving / "one.duckdb"
    new = console.workspace.serving / "two.duckdb"
    new.write_bytes(old.read_bytes())
    with duckdb.connect(str(new)) as con:
        con.execute(
            "insert into data_model.accounts by name select 's:a/b c' as account_key, 'a/b c' as account_id,"
            " 's' as source, 'Slash & Co' as name, 'Kim' as owner"
        )
    (console.workspace.serving / "current").write_text(new.name + "\n")
    for _ in range(2):  # the old lookups serve, and the new ones are begun once
        assert "s%3Akim" in console.get("/accounts").text
    assert begun == [console.workspace]
    lookups.make(console.workspace, new)  # as the process beside the server does
    link = "/accounts/s%3Aa/b%20c"
    assert link in console.get("/accounts?q=slash").text
    for page in (link, f"{link}/holds", f"{link}/why?date=2025-11-03"):
        answer = console.get(page)
        assert answer.status_code == 200 and "Slash &amp; Co" in answer.text, page
    assert console.post(f"{link}/notes", body="called").headers["location"].startswith("/accounts/s:a%2Fb%20c")
    assert console.get("/accounts/s:a%2Fb%20c").status_code == 200


def test_a_remedy_names_pages_and_never_a_command_of_the_shell() -> None:
    assert for_clerk("see `dunning campaign list`") == "see the page “Campaigns”"
    assert "button" in for_clerk("close it first with `dunning statement close`")
    assert for_clerk("run `dunning build` and see").startswith("ask whoever runs the system: ")
    assert for_clerk("write YYYY-MM-DD") == "write YYYY-MM-DD"


def test_passwords_are_hashed_as_dearly_as_advised() -> None:
    assert access.hash_password("correct horse battery").startswith("$argon2id$v=19$m=65536,t=3,p=4$")
