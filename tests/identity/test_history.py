"""Ids over runs: stable, never used twice, merges and splits told, open cases first, people's decisions before rules."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, select

from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.identity.decisions import Verdicts, decide_pair, list_decisions, withdraw_decision
from dunning_pipeline.ledger.engine import open_ledger_url
from dunning_pipeline.ledger.schema import audit, findings, unified_id_events, unified_ids
from tests.identity.conftest import NOW, Parties

VAT = "DE811907980"


@pytest.fixture
def ledger(tmp_path: Path) -> Engine:
    return open_ledger_url(f"sqlite:///{tmp_path / 'ledger.sqlite'}")


def forget_the_warehouse(parties: Parties) -> None:
    parties.con.execute("drop schema identity cascade; drop schema identity_cache cascade")


def test_ids_outlive_the_warehouse_and_the_second_run_changes_nothing(parties: Parties, ledger: Engine) -> None:
    parties.account("a", name="Acme GmbH", vat_id=VAT)
    parties.account("b", name="ACME", vat_id=VAT)
    parties.contact("1", first_name="Jane", last_name="Doe", email="jane@doe.org")
    parties.resolve(ledger=ledger)
    before = parties.ids("account") | parties.ids()

    forget_the_warehouse(parties)
    parties.resolve(ledger=ledger)

    assert parties.ids("account") | parties.ids() == before
    with ledger.connect() as connection:
        assert connection.execute(select(unified_id_events)).all() == []
        assert len(connection.execute(select(unified_ids)).all()) == 3


def test_a_merge_keeps_the_larger_profile_s_id_and_leaves_a_redirect(parties: Parties, ledger: Engine) -> None:
    for key in ("a", "b"):
        parties.account(key, name="Acme GmbH", vat_id=VAT)
    parties.account("c", name="Acme GmbH")
    parties.resolve(ledger=ledger)
    before = parties.ids("account")

    parties.con.execute(f"update data_model.accounts set vat_id = '{VAT}'")
    parties.resolve(ledger=ledger)

    assert set(parties.ids("account").values()) == {before["a"]}
    assert parties.rows("select event, old_id, new_id from identity.id_events") == [("merge", before["c"], before["a"])]
    assert parties.rows("select old_id, new_id from identity.id_redirects") == [(before["c"], before["a"])]
    with ledger.connect() as connection:
        assert {row.unified_id for row in connection.execute(select(unified_ids))} == {before["a"]}


def test_a_split_gives_the_smaller_part_an_id_that_nobody_had(parties: Parties, ledger: Engine) -> None:
    for key in ("a", "b", "c"):
        parties.account(key, name="Acme GmbH", vat_id=VAT)
    parties.resolve(ledger=ledger)
    old = parties.ids("account")["a"]

    parties.con.execute("update data_model.accounts set vat_id = null where account_id = 'a'")
    parties.resolve(ledger=ledger)
    split = parties.ids("account")
    parties.con.execute(f"update data_model.accounts set vat_id = '{VAT}'")
    parties.resolve(ledger=ledger)
    parties.con.execute("update data_model.accounts set vat_id = null where account_id = 'a'")
    parties.resolve(ledger=ledger)
    again = parties.ids("account")

    assert split["b"] == split["c"] == again["b"] == old
    assert len({old, split["a"], again["a"]}) == 3
    events = parties.rows("select event, count(*) from identity.id_events group by event order by event")
    assert events == [("merge", 1), ("split", 2)]
    assert parties.rows("select check_name from identity.checks where not passed and severity = 'error'") == []


def test_churn_is_measured(parties: Parties) -> None:
    for key in ("a", "b", "c"):
        parties.account(key, name="Acme GmbH", vat_id=VAT)
    parties.resolve()
    parties.con.execute("update data_model.accounts set vat_id = null where account_id = 'a'")

    report = parties.resolve()

    assert report.counts["account"]["records_with_another_id"] == 1
    churn = parties.rows(
        "select failures, records, passed from identity.checks where check_name = 'id_churn' and party_kind = 'account'"
    )
    assert churn == [(1, 3, False)]


def test_two_profiles_with_open_cases_are_not_merged_by_a_rule(parties: Parties, ledger: Engine) -> None:
    parties.account("a", name="Acme GmbH")
    parties.account("b", name="Acme GmbH")
    parties.resolve(ledger=ledger)
    ids = parties.ids("account")
    parties.con.execute(
        "create schema ops; create table ops.statements (unified_account_id varchar, kind varchar, status varchar, dunning_date date)"
    )
    parties.con.execute(
        f"insert into ops.statements values ('{ids['a']}', 'dunning', 'draft', '2025-11-01'), ('{ids['b']}', 'dunning', 'closed', '2025-10-01')"
    )
    parties.con.execute(f"update data_model.accounts set vat_id = '{VAT}'")

    parties.resolve(ledger=ledger)
    assert parties.profiles("account") == [["a"], ["b"]]
    assert parties.rows("select reason from identity.suggestions") == [("constraint",)]

    parties.con.execute("update ops.statements set status = 'voided' where status = 'draft'")
    parties.resolve(ledger=ledger)
    assert set(parties.ids("account").values()) == {ids["b"]}, "the open case keeps its id"


def test_people_decide_before_rules(parties: Parties, ledger: Engine) -> None:
    parties.contact("1", first_name="Jane", last_name="Doe", email="jane@doe.org")
    parties.contact("2", first_name="Jane", last_name="Doe", email="jane@doe.org")
    parties.contact("3", first_name="J", last_name="Smith")
    decide(ledger, "cannot_link", "crm:2", "crm:1")
    decide(ledger, "must_link", "crm:3", "crm:2")

    parties.resolve(ledger=ledger)
    assert parties.profiles() == [["1"], ["2", "3"]]
    assert parties.rows("select rule, confidence from identity.individual_links where record_key = 'crm:3'") == [
        ("decided", 1.0)
    ]
    assert parties.rows("select * from identity.suggestions") == [], "what a person decided is not asked again"

    decide(ledger, "must_link", "crm:1", "crm:2", minutes=1)  # changes their mind
    parties.resolve(ledger=ledger)
    assert parties.profiles() == [["1", "2", "3"]]
    with ledger.connect() as connection:
        assert [row.action for row in connection.execute(select(audit))] == [
            "identity.cannot_link",
            "identity.must_link",
            "identity.must_link",
        ]


def test_a_decision_needs_two_records_and_a_verdict(ledger: Engine) -> None:
    with pytest.raises(InvalidInput, match="against itself"):
        decide(ledger, "must_link", "a", "a")
    with pytest.raises(InvalidInput, match="unknown verdict"):
        decide(ledger, "perhaps", "a", "b")


def test_a_quarantine_becomes_a_finding(parties: Parties, ledger: Engine) -> None:
    small = parties.rulesets["account"]
    parties.rulesets["account"] = small.model_copy(
        update={"guards": small.guards.model_copy(update={"cluster_size": 2})}
    )
    for key in ("a", "b", "c"):
        parties.account(key, name="Acme GmbH", vat_id=VAT)

    parties.resolve(ledger=ledger)

    with ledger.connect() as connection:
        assert [(f.kind, f.object_id) for f in connection.execute(select(findings))] == [
            ("identity_quarantine", "crm:a")
        ]


def decide(ledger: Engine, verdict: str, left: str, right: str, *, minutes: int = 0) -> str:
    at = NOW + timedelta(minutes=minutes)
    return decide_pair(
        ledger, kind="individual", verdict=verdict, left=left, right=right, reason=None, actor="ann", at=at
    )


def test_decisions_that_contradict_each_other_are_refused_and_one_can_be_taken_back(ledger: Engine) -> None:
    first = decide(ledger, "must_link", "a", "b")
    second = decide(ledger, "must_link", "b", "c", minutes=1)
    with pytest.raises(Refused, match=f"{first}: a = b; {second}: b = c"):
        decide(ledger, "cannot_link", "a", "c")
    decide(ledger, "cannot_link", "d", "c")
    with pytest.raises(Refused, match="c ≠ d"):
        decide(ledger, "must_link", "a", "d")
    decide(ledger, "cannot_link", "b", "c")  # the pair's own earlier verdict is replaced, not contradicted
    decide(ledger, "must_link", "a", "d")
    withdraw_decision(ledger, first, reason="a mistake", actor="anna", at=NOW)
    standing = {(row["verdict"], row["left_record"], row["right_record"]) for row in list_decisions(ledger)}
    assert standing == {("cannot_link", "b", "c"), ("cannot_link", "c", "d"), ("must_link", "a", "d")}
    with pytest.raises(NotThere, match="no standing decision"):
        withdraw_decision(ledger, first, reason=None, actor="anna", at=NOW)


def test_under_a_clock_that_stands_still_a_pair_is_decided_again_and_again(ledger: Engine) -> None:
    said = []
    for verdict in ("must_link", "cannot_link", "must_link"):
        said += [decide(ledger, verdict, "a", "b"), decide(ledger, "cannot_link", "a", "b")]
        withdraw_decision(ledger, said[-1], reason=None, actor="anna", at=NOW)
        assert list_decisions(ledger) == []
    assert len(set(said)) == 5  # the second time it was said twice that they are different, which is one decision


def test_each_of_many_decisions_reads_the_others_once(ledger: Engine) -> None:
    read = []
    event.listen(ledger, "before_cursor_execute", lambda *said: read.append(said[2].startswith("SELECT")))
    with ledger.begin() as connection:
        verdicts = Verdicts(connection, reason=None, actor="ann", at=NOW)
        for number in range(50):  # a chain of parties, each beside somebody whom it is not
            verdicts.decide("individual", "must_link", f"a{number}", f"a{number + 1}")
            verdicts.decide("individual", "cannot_link", f"a{number}", f"b{number}")
        with pytest.raises(Refused, match="a49 ≠ b49"):
            verdicts.decide("individual", "must_link", "a0", "b49")
        with pytest.raises(Refused, match=r"say the contrary: .* = a"):
            verdicts.decide("individual", "cannot_link", "a50", "a0")
        verdicts.decide("individual", "cannot_link", "a20", "a21")  # a mind is changed, at the same instant too
        verdicts.decide("individual", "must_link", "a0", "b49")
    assert sum(read) == 1 and len(list_decisions(ledger)) == 101


def test_a_decision_that_is_taken_back_counts_no_more(parties: Parties, ledger: Engine) -> None:
    for key in ("1", "2"):
        parties.contact(key, first_name="Jane", last_name="Doe", email="jane@doe.org")
    decision = decide(ledger, "cannot_link", "crm:1", "crm:2")
    parties.resolve(ledger=ledger)
    assert parties.profiles() == [["1"], ["2"]]

    withdraw_decision(ledger, decision, reason=None, actor="anna", at=NOW)
    parties.resolve(ledger=ledger)
    assert parties.profiles() == [["1", "2"]]
    with ledger.connect() as connection:
        assert "identity.withdraw" in connection.execute(select(audit.c.action)).scalars().all()


def test_decisions_follow_records_that_their_source_renames(parties: Parties, ledger: Engine) -> None:
    for key, city in (("1", "Hamburg"), ("2", "Kiel")):
        parties.contact(key, first_name="Jane", last_name="Doe", email="jane@doe.org", street=city)
    decide(ledger, "cannot_link", "crm:1", "crm:2")
    parties.resolve(ledger=ledger)
    before = parties.ids()

    for key, city in (("1", "Hamburg"), ("2", "Kiel")):
        parties.remove("contacts", f"crm:{key}")
        parties.contact(f"9{key}", first_name="Jane", last_name="Doe", email="jane@doe.org", street=city)
    for _ in range(2):  # the old keys are known to the first build after the change alone
        parties.resolve(ledger=ledger)
        assert parties.ids() == {"91": before["1"], "92": before["2"]}
    (standing,) = list_decisions(ledger)
    assert (standing["left_record"], standing["right_record"], standing["decided_by"]) == ("crm:91", "crm:92", "ann")
