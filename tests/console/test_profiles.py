"""Unified profiles in the console: why records are one, who said so, and nothing of an account that one may not see."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import duckdb
import pytest
from sqlalchemy import event, select

from dunning_pipeline.console import lookups, wording
from dunning_pipeline.errors import NotThere
from dunning_pipeline.identity import resolve
from dunning_pipeline.identity.decisions import list_decisions
from dunning_pipeline.identity.explaining import find_profile
from dunning_pipeline.identity.reviewing import waiting_pairs
from dunning_pipeline.ledger.schema import audit, users
from dunning_pipeline.sql_models.snapshot import snapshot_file
from tests.console.test_german_pages import GERMAN, Listening
from tests.console.world import NOW, Console
from tests.identity.conftest import shipped_rulesets
from tests.scenarios.facts import Facts

VAT = "DE136695976"
PLACE = {"street": "Hafenstr. 1", "postal_code": "20457", "city": "Hamburg", "country": "DE"}


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())


@pytest.fixture(scope="module")
def ids(console: Console) -> dict[str, str]:
    """Kim's and Lee's accounts are one company since the second build, a third of Kim's waits for a person, a fourth is
    Lee's alone; the two name one contact. Record → unified id, and `old` → the id that was merged away."""
    facts = Facts()
    for key, owner, more in (
        ("s:kim", "Kim", {"vat_id": VAT, "phone": "+49 40 111111"}),
        ("s:lee", "Lee", {"website": "https://secret.example", "phone": "+49 40 222222"}),
        ("s:third", "Kim", PLACE),
        ("s:fourth", "Lee", {"name": "Hidden Harbour AG"}),
    ):
        named = {"name": "Acme Anlagenbau GmbH", "country": "DE", **(PLACE if key == "s:kim" else {}), **more}
        facts.put("accounts", account_key=key, source="s", account_id=key[2:], owner=owner, **named)
    for key, account in (("s:c1", "s:kim"), ("s:c2", "s:lee"), ("s:c3", "s:fourth")):
        name = {"first_name": "Rosa", "last_name": "Zander" if key != "s:c3" else "Hidden"}
        mail = f"{name['last_name'].lower()}@acme.example"
        facts.put("contacts", contact_key=key, source="s", contact_id=key[2:], account_key=account, email=mail, **name)
    for number in range(60):
        name = {"first_name": "Max", "last_name": "Many", "email": "many@acme.example", "account_key": "s:kim"}
        facts.put("contacts", contact_key=f"s:m{number:02}", source="s", contact_id=f"m{number:02}", **name)
    with duckdb.connect(str(facts.publish(console.workspace, "two"))) as con:
        con.execute("set timezone = 'UTC'")
        for number in (1, 2):
            resolve(con, None, run_id=f"run-{number}", now=NOW, rulesets=shipped_rulesets(), processes=1)
            con.execute("update data_model.accounts set vat_id = ? where account_key = 's:lee'", [VAT])
        con.execute("create schema unified; create schema dunning")
        con.execute("create table unified.account_links as select * from identity.account_links")
        con.execute(
            "create table dunning.open_items as select *, 1 as instalment, account_key as bill_group_key from (values"
            " ('s:kim', 'EUR', 12.50::decimal(19,4), 3), ('s:lee', 'EUR', 700.00::decimal(19,4), 9))"
            " as t(account_key, currency, open_amount, days_overdue)"
        )
        con.execute("create table main.snapshot (run_date date, published_at timestamp)")
        con.execute("insert into main.snapshot values (?, ?)", [NOW.date(), NOW - timedelta(hours=1)])
        links = "select record_key, unified_{0}_id from identity.{0}_links"
        found = dict(con.execute(f"{links.format('account')} union all {links.format('individual')}").fetchall())
        ((found["old"],),) = con.execute("select old_id from identity.id_redirects").fetchall()
    lookups.make(console.workspace, snapshot_file(console.workspace))
    assert found["s:kim"] == found["s:lee"] != found["s:third"] and found["s:c1"] == found["s:c2"]
    return found


def test_a_profile_tells_its_records_their_rule_its_debts_and_what_waits(console: Console, ids: dict[str, str]) -> None:
    page = console.get(f"/profiles/{ids['s:kim']}").text
    assert "s:kim" in page and "s:lee" in page and "same VAT id" in page and "tier A" in page and VAT in page
    assert "€712.50" in page and 'href="/accounts/s%3Alee"' in page
    assert f"{ids['old']} was merged into {ids['s:kim']}" in page
    assert "s:third" in page and "it would join them, but its tier only suggests" in page
    person = console.get(f"/profiles/{ids['s:c1']}?language=de").text
    assert "gleiche E-Mail-Adresse" in person and "Stufe A" in person and "Rosa Zander" in person


def test_an_old_id_and_a_record_lead_to_the_profile_of_today(console: Console, ids: dict[str, str]) -> None:
    answer = console.get(f"/profiles/{ids['old']}")
    assert answer.headers["location"] == f"/profiles/{ids['s:kim']}"
    assert f"{ids['old']} is part of this profile now." in console.told(answer)
    assert console.get("/profiles/s:c2?of=individual").headers["location"] == f"/profiles/{ids['s:c1']}"
    gone = console.get("/profiles/nobody?language=de")
    assert gone.status_code == 404 and "dieses Profil gibt es nicht" in gone.text


def test_a_long_list_of_records_has_pages(console: Console, ids: dict[str, str]) -> None:
    first, second = (console.get(f"/profiles/{ids['s:m00']}?page={page}").text for page in (1, 2))
    assert "60 records" in first and "s:m49" in first and "s:m50" not in first and 'rel="next"' in first
    assert "s:m59" in second and "s:m49" not in second and 'rel="prev"' in second
    path = console.get(f"/profiles/{ids['s:m00']}?from=s:m00&to=s:m59").text
    assert "many@acme.example" in path and "The selected are different" not in path and "They are different" in path


def test_the_path_between_two_records_is_told_and_why_two_profiles_are_two(
    console: Console, ids: dict[str, str]
) -> None:
    page = f"/profiles/{ids['s:kim']}?from=s:kim&to="
    assert "the names are the same" in console.get(f"{page}s:lee").text
    apart = console.get(f"{page}s:third").text
    assert "These two are in different profiles." in apart and "only one has it" in apart
    wrong = console.get(f"{page}nobody").text
    assert 'role="alert"' in wrong and "no profile and no source record has this id (nobody)" in wrong


@pytest.mark.parametrize("path", ["/profiles/{s:kim}", "/profiles/{s:kim}?from=s:kim&to=s:lee", "/accounts/s:kim",
                                  "/profiles/{s:c1}", "/profiles/{s:third}", "/profiles", "/search?q=Zander",
                                  "/search?q=Acme", "/profiles/{s:kim}?from=s:kim&to=s:fourth"])  # fmt: skip
def test_nothing_of_somebody_elses_account_is_told(console: Console, ids: dict[str, str], path: str) -> None:
    for record, unified_id in ids.items():
        path = path.replace(f"{{{record}}}", unified_id)
    page = console.get(path, who="kim")
    assert page.status_code == 200
    told = re.sub(r'value="s:(lee|fourth)"|\(s:(lee|fourth)\)', "", page.text)  # what was typed comes back
    for secret in ("s:lee", "s:c2", "secret.example", "222222", "700", "s:fourth", "Hidden"):
        assert secret not in told, secret


def test_a_profile_without_a_record_of_ones_own_is_not_there(console: Console, ids: dict[str, str]) -> None:
    for record in ("s:fourth", "s:c3"):
        assert console.get(f"/profiles/{ids[record]}", who="kim").status_code == 404
        assert console.get(f"/profiles/{record}", who="kim").status_code == 404
    assert "and 1 more that your user does not see" in console.get(f"/profiles/{ids['s:kim']}", who="kim").text
    pair = json.dumps(["account", "s:kim", "s:fourth"])
    assert console.post("/profiles/decide", who="kim", pair=pair, same="yes").status_code == 404
    assert list_decisions(console.app.state.engine) == []


def test_a_decision_goes_the_way_of_the_command_and_back(console: Console, ids: dict[str, str]) -> None:
    pair, back = json.dumps(["account", "s:kim", "s:third"]), ids["s:kim"]
    answer = console.post("/profiles/decide", who="collector", pair=pair, same="no", reason="two firms", back=back)
    assert answer.headers["location"] == f"/profiles/{back}"
    page = console.told(answer, who="collector")
    assert "The pair is decided" in page and "two firms" in page and "counts from the next build on" in page
    assert pair not in unescape(console.get("/profiles").text)
    (decision,) = list_decisions(console.app.state.engine)
    assert (decision["verdict"], decision["decided_by"]) == ("cannot_link", "collector")
    trail = select(audit.c.action).where(audit.c.object_id == decision["decision_id"]).order_by(audit.c.at)
    assert console.scalar(trail) == "identity.cannot_link"
    answer = console.post("/profiles/withdraw", who="collector", decision_id=decision["decision_id"])
    assert answer.headers["location"] == "/profiles" and list_decisions(console.app.state.engine) == []
    assert pair in unescape(console.get("/profiles").text)


def test_what_was_taken_back_stays_on_the_profiles_page_with_its_people(
    console: Console, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUNNING_NOW", (NOW + timedelta(hours=1)).isoformat())
    apart, one = json.dumps(["account", "s:kim", "s:third"]), {"who": "collector"}
    hidden = json.dumps(["account", "s:kim", "s:fourth"])
    console.post("/profiles/decide", **one, pair=apart, same="no", reason="moved away")
    console.post("/profiles/decide", pair=hidden, same="no", reason="of Lee")
    for decision in list_decisions(console.app.state.engine):
        fields = {"decision_id": decision["decision_id"], "reason": "it was a typo"}
        assert console.post("/profiles/withdraw", **fields).status_code == 303
    page = console.get(f"/profiles/{ids['s:kim']}").text
    back = page.split("Taken back (")[1].split("</details>")[0]
    assert "collector" in back and "moved away" in back and "by admin · it was a typo" in re.sub("<[^>]+>", "", back)
    german = console.get(f"/profiles/{ids['s:kim']}?language=de").text
    assert "s:fourth" in back and "zurückgenommen von admin" in german
    theirs = console.get(f"/profiles/{ids['s:kim']}", who="kim").text
    assert "moved away" in theirs and "of Lee" not in theirs
    assert "moved away" not in console.get(f"/profiles/{ids['s:fourth']}").text


def test_who_says_the_contrary_took_the_earlier_decision_back(
    console: Console, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = json.dumps(["individual", "s:c1", "s:c3"])
    for minutes, who, same in ((1, "collector", "yes"), (2, "approver", "no")):
        monkeypatch.setenv("DUNNING_NOW", (NOW + timedelta(minutes=minutes)).isoformat())
        assert console.post("/profiles/decide", who=who, pair=pair, same=same).status_code == 303
    page = console.get(f"/profiles/{ids['s:c1']}").text
    assert "by approver" in page.split("Taken back (1)")[1].split("</details>")[0]
    monkeypatch.setenv("DUNNING_NOW", (NOW + timedelta(minutes=3)).isoformat())
    (decision,) = list_decisions(console.app.state.engine)
    console.post("/profiles/withdraw", decision_id=decision["decision_id"])


def test_a_profiles_page_reads_the_decisions_once(console: Console, ids: dict[str, str]) -> None:
    read = []

    def count(_connection, _cursor, statement, *_more) -> None:  # type: ignore[no-untyped-def]
        read.append("withdrawn_at IS NULL" in statement)

    event.listen(console.app.state.engine, "before_cursor_execute", count)
    for path in (f"/profiles/{ids['s:kim']}?from=s:kim&to=s:third", "/profiles"):
        assert console.get(path).status_code == 200
        assert sum(read) == 1, path
        read.clear()
    event.remove(console.app.state.engine, "before_cursor_execute", count)


@pytest.fixture
def many(console: Console, ids: dict[str, str]) -> Iterator[list[tuple[str, str]]]:
    """A snapshot in which 120 more pairs wait, all of Kim's people: (kind, left) of all that wait, in their order."""
    serving, former = console.workspace.serving, snapshot_file(console.workspace)
    shutil.copy(former, serving / "three.duckdb")
    with duckdb.connect(str(serving / "three.duckdb")) as con:
        con.execute(
            "insert into identity.suggestions by name select 'm' || lpad(i::varchar, 3, '0') as suggestion_id,"
            " 'individual' as party_kind, if(i % 2 = 0, 'people_phone', 'people_email') as rule, 'C' as tier,"
            " 0.5 as confidence, 'tier' as reason, format('s:m{:02}', i // 2) as left_record,"
            " format('s:m{:02}', 59 - i // 2) as right_record, 'a' as left_id, 'b' as right_id from range(120) as t(i)"
        )
        waiting = waiting_pairs(con, (), kind=None, rule=None)[0]
    (serving / "current").write_text("three.duckdb")
    yield [(row["party_kind"], row["left_record"]) for row in waiting]
    (serving / "current").write_text(former.name)


def test_a_long_list_of_waiting_pairs_has_pages_that_follow_each_other(
    console: Console, many: list[tuple[str, str]]
) -> None:
    def shown(query: str, who: str = "admin") -> tuple[str, list[tuple[str, str]]]:
        page = unescape(console.get(f"/profiles?{query}", who=who).text)
        pairs = [json.loads(found) for found in re.findall(r'name="pair" value="(\[.*?\])"', page)]
        return page, [(kind, left) for kind, left, _ in pairs]

    page, first = shown("")
    assert f"({len(many)})" in page and 'rel="next"' in page
    listed = [pair for number in (1, 2, 3) for pair in shown(f"page={number}")[1]]
    assert listed == many and first == many[:50]
    assert shown("page=4")[1] == []
    page, some = shown("kind=individual&rule=people_phone&page=2", who="kim")
    assert "(60)" in page and len(some) == 10 and "people_email</option>" in page
    assert shown("rule=unheard")[1] == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"same": "yes"}, "nothing is selected"),
        ({"pair": '["account", "s:kim", "s:third"]'}, "say whether they are the same"),
        ({"pair": "[1", "same": "yes"}, "this is no pair of records"),
        ({"pair": '["odd", "a", "b"]', "same": "yes"}, "this is no pair of records"),
        ({"pair": '["account", "s:kim", "gone"]', "same": "yes"}, "0 pairs are decided, 1 are not: no account record"),
    ],
)
def test_a_decision_that_cannot_be_taken_says_why(
    console: Console, ids: dict[str, str], fields: dict[str, str], told: str
) -> None:
    answer = console.post("/profiles/decide", **fields)
    assert answer.status_code == 422 and told in answer.text


def test_a_profile_is_found_from_where_a_clerk_meets_it(console: Console, ids: dict[str, str]) -> None:
    link = f'href="/profiles/{ids["s:kim"]}"'
    for path in ("/accounts/s:kim", "/statements/st-kim", "/sends/sd-kim", "/search?q=Acme"):
        assert link in console.get(path).text, path
    assert f'href="/profiles/{ids["s:c1"]}"' in console.get("/search?q=zander@acme.example").text
    for name in ("old", "s:kim"):
        assert console.get(f"/search?q={ids[name]}").headers["location"] == f"/profiles/{ids[name]}"


def test_from_a_company_one_gets_to_the_first_of_its_accounts_that_one_may_see(
    console: Console, ids: dict[str, str]
) -> None:
    found = f"/find/unified_account/{ids['s:kim']}"
    assert console.get(found, who="kim").headers["location"] == "/accounts/s:kim"
    with console.app.state.engine.begin() as connection:
        connection.execute(users.update().where(users.c.login == "kim").values(row_scope="Lee"))
    assert console.get(found, who="kim").headers["location"] == "/accounts/s:lee"
    assert console.get(f"/find/unified_account/{ids['s:third']}", who="kim").status_code == 404
    with console.app.state.engine.begin() as connection:
        connection.execute(users.update().where(users.c.login == "kim").values(row_scope="Kim"))


def test_a_kind_is_looked_up_alone_where_two_have_the_same_key(console: Console, ids: dict[str, str]) -> None:
    with duckdb.connect(str(console.workspace.serving / "two.duckdb"), read_only=True) as con:
        assert find_profile(con, "s:kim", of="account") == ("account", ids["s:kim"])
        with pytest.raises(NotThere):
            find_profile(con, "s:kim", of="individual")


def test_the_pages_speak_german(console: Console, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = Listening(GERMAN)
    monkeypatch.setattr(wording, "_words", lambda language: words if language == "de" else {})
    for path in ("s:kim", "s:c1", "s:third", "s:kim?from=s:kim&to=s:third", "s:kim?from=s:kim&to=s:lee"):
        record, _, query = path.partition("?")
        assert console.get(f"/profiles/{ids[record]}?{query}&language=de").status_code == 200
    assert console.get("/profiles?language=de").status_code == 200
    assert words.missed == set()
