"""The life of statements: drafted again and again, edited, closed once, replaced, voided; what is owed meanwhile."""

from datetime import date

import pytest
from sqlalchemy import select, text, update

from dunning_pipeline.daily import run_processes
from dunning_pipeline.delivery.queue import queue_statement
from dunning_pipeline.dunning.scope import Scope
from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import audit, findings, postings, runs, sends, statements
from dunning_pipeline.ledger.verifying import verify
from dunning_pipeline.statements.booking import charges
from dunning_pipeline.statements.closing import close
from dunning_pipeline.statements.drafting import editing
from dunning_pipeline.statements.runs import delete_run, run
from dunning_pipeline.statements.voiding import void
from tests.scenarios.world import World, noon

WITH_FEES = """
process: standard
min_interval_days: 7
levels:
  - {level: 1, when: {days: 7}, template: friendly_reminder, fee: {EUR: 5.00}, interest: {annual_percent: 10}}
  - {level: 2, when: {days: 21}, template: second_reminder, fee: {EUR: 10.00}, interest: {annual_percent: 10}}
"""


@pytest.mark.slow
def test_a_draft_is_taken_over_with_its_hand_edits_until_it_is_closed(world: World) -> None:
    world.invoice("INV-1", due="2026-01-01", amount="120.00 EUR")
    [draft] = world.draft("2026-01-08").statement_ids
    before = world.statements()
    assert world.draft("2026-01-08").counts["unchanged"] == 1
    assert world.statements() == before  # the same run again changes nothing

    wanted = {"recipients": {"to": "boss@example.com"}, "texts": {"opening": "Hello!"}, "due_date": "2026-02-01"}
    assert editing.edit(world.ws, draft, wanted, row_version=1, now=noon("2026-01-08"), actor="clerk") == 2
    with pytest.raises(Refused, match="clerk has changed this draft"):
        editing.edit(world.ws, draft, {"language": "de"}, row_version=1, now=noon("2026-01-08"), actor="other")

    world.invoice("INV-2", due="2026-01-01", amount="30.00 EUR")
    world.draft("2026-01-09")
    [row] = world.statements()  # the same draft: a level that was only drafted does not count
    assert (row["id"], row["level"], row["totals"]["please_pay"]) == (draft, 1, "150.00")
    assert row["recipients"]["to"] == ["boss@example.com"] and row["texts"] == {"opening": "Hello!"}
    assert row["due_date"] == "2026-02-01" and row["conflicts"]["recipients"]["to"] == ["acme@example.com"]

    world.close("2026-01-09", [draft])
    [row] = world.statements()
    assert (row["number"], row["due_date"], row["recipients"]["to"]) == (
        "D-2026-000001",
        "2026-02-01",
        ["boss@example.com"],
    )
    with pytest.raises(Refused, match="only drafts"):
        editing.edit(world.ws, draft, {"language": "de"}, row_version=None, now=noon("2026-01-09"), actor="clerk")
    with pytest.raises(InvalidInput, match="not set by hand"):
        editing.edit(world.ws, draft, {"please_pay_minor": 1}, row_version=None, now=noon("2026-01-09"), actor="x")


def test_closing_posts_once_and_voiding_gives_everything_back(world: World) -> None:
    world.process(WITH_FEES)
    world.invoice("INV-1", due="2026-01-01", amount="1000.00 EUR")
    [draft] = world.draft("2026-01-08").statement_ids
    assert world.charges() == {}
    assert world.close("2026-01-08", [draft]).closed == [draft]
    assert world.close("2026-01-08", [draft]).already_closed == [draft]
    assert world.charges() == {"EUR": 500 + 192}  # 1,000 x 10 % x 7 / 365
    assert world.draft("2026-01-08").statement_ids == []  # closed for this very date: nothing twice

    world.send("2026-01-08", [draft])
    assert void(world.ws, draft, reason="typing error", now=noon("2026-01-09"), actor="clerk")
    assert not void(world.ws, draft, reason="again", now=noon("2026-01-09"), actor="clerk")
    assert world.charges() == {}
    [again] = world.draft("2026-01-09").statement_ids  # the level was taken back with it
    [row] = world.statements(status="draft")
    assert (row["id"], row["level"], row["totals"]["fees"]) == (again, 1, "5.00")
    world.close("2026-01-09", [again])
    assert world.statements(status="closed")[0]["number"] == "D-2026-000002"  # the number of a void one is not reused
    assert not any(verify(world.ws).values())


@pytest.mark.slow
def test_voiding_takes_back_what_was_partly_paid_and_no_waiver_twice(world: World) -> None:
    world.process(WITH_FEES)
    world.invoice("INV-1", due="2026-01-01", amount="1000.00 EUR")
    assert world.run("2026-01-08") == ["acme level 1 1006.92 EUR"]
    [one] = world.statements(status="closed")
    told = {"on": date(2026, 1, 9), "actor": "clerk", "now": noon("2026-01-09")}
    with world.ledger.begin() as connection:
        posted = {c.posting["type"]: c.posting["posting_id"] for c in charges.list_charges(connection, account="acme")}
        charges.pay(connection, posted["fee"], amount_minor=300, reference="bank-1", **told)
        charges.waive(connection, posted["interest"], reason="goodwill", **told)
    assert world.charges() == {"EUR": 200}

    void(world.ws, one["id"], reason="typing error", now=noon("2026-01-09"), actor="clerk")
    assert world.charges() == {"EUR": -300}  # nothing is owed of it, and what was paid is the debtor's
    void(world.ws, one["id"], reason="again", now=noon("2026-01-10"), actor="clerk")
    assert world.charges() == {"EUR": -300}
    assert world.drafts("2026-01-10") == ["acme level 1 1005.55 EUR"]  # 5.00 and the interest that was not waived
    assert not any(verify(world.ws).values())


def test_what_changed_since_the_run_is_not_closed(world: World) -> None:
    for n in (1, 2, 3, 4):
        world.invoice(f"INV-{n}", account=f"a{n}", due="2026-01-01", amount="100.00 EUR")
    ids = world.draft("2026-01-08").statement_ids
    world.payment("INV-1", on="2026-01-09", amount="40.00")
    world.block("a2", on="2026-01-09")
    world.assign("a4", "none", on="2026-01-09")
    report = world.close("2026-01-09", ids)
    assert len(report.closed) == 1 and len(report.refused) == 3
    assert {reason.split(" since")[0] for reason in report.refused.values()} == {
        "the open amount of INV-1 has changed",
        "INV-2 is blocked",
        "INV-4 is paused by hand",
    }
    assert world.charges("a1") == {}

    counts = world.draft("2026-01-10").counts  # the next run sees it all: one goes, one is for less, one was closed
    assert (counts["removed"], counts["proposed"]) == (2, 2)
    assert {one["totals"]["please_pay"] for one in world.statements(status="draft")} == {"60.00", "100.00"}


def test_nothing_is_closed_that_asks_to_pay_by_a_day_in_the_past(world: World) -> None:
    world.process(WITH_FEES)
    world.invoice("INV-1", due="2026-01-01", amount="1000.00 EUR")
    [one] = world.draft("2026-01-08").statement_ids
    [draft] = world.statements(ids=[one])
    assert draft["due_date"] == "2026-01-15"
    assert "has passed since the run" in world.close("2026-01-16", [one]).refused[one]
    told = {"row_version": draft["row_version"], "now": noon("2026-01-16"), "actor": "clerk"}
    editing.edit(world.ws, one, {"due_date": "2026-01-30"}, **told)
    assert world.close("2026-01-16", [one]).closed == [one]


def test_an_unsent_statement_is_replaced_by_the_next_run(world: World) -> None:
    world.process(WITH_FEES)
    world.invoice("INV-1", due="2026-01-01", amount="1000.00 EUR")
    [first] = world.close("2026-01-08", world.draft("2026-01-08").statement_ids).closed
    [second] = world.close("2026-01-09", world.draft("2026-01-09").statement_ids).closed
    old, new = world.statements(ids=[first])[0], world.statements(ids=[second])[0]
    assert (old["status"], old["superseded_by"], new["level"]) == ("superseded", second, 1)
    assert new["totals"]["fees"] == "5.00"  # the old fee went back, it is not carried
    assert world.charges() == {"EUR": 500 + 219}
    assert not any(verify(world.ws).values())


@pytest.mark.slow
def test_a_draft_is_not_closed_once_the_statement_before_it_went_out(world: World) -> None:
    world.process(WITH_FEES)
    world.invoice("INV-1", due="2026-01-01", amount="1000.00 EUR")
    [first] = world.close("2026-01-08", world.draft("2026-01-08").statement_ids).closed
    [second] = world.draft("2026-01-09").statement_ids  # the first one has not left by then
    world.send("2026-01-10", [first])
    refused = world.close("2026-01-10", [second]).refused
    assert "since the run; run again" in refused[second]
    assert world.charges() == {"EUR": 692} and world.drafts("2026-01-10") == []  # one fee, one interest, one reminder


def test_a_draft_is_not_closed_while_nobody_knows_whether_the_reminder_before_it_left(world: World) -> None:
    world.invoice("INV-1", due="2026-01-01", amount="1000.00 EUR")
    [first] = world.close("2026-01-08", world.draft("2026-01-08").statement_ids).closed
    [second] = world.draft("2026-01-09").statement_ids  # it waited by then
    with world.ledger.begin() as connection:
        row = connection.execute(select(statements).where(statements.c.statement_id == first)).mappings().one()
        queue_statement(connection, world.ws, statement=row, now=noon("2026-01-09"), actor="daily")
        connection.execute(update(sends).values(status="unknown"))  # the provider has not answered
    assert "may have left" in world.close("2026-01-09", [second]).refused[second]

    with world.ledger.begin() as connection:
        connection.execute(update(sends).values(status="queued"))  # a person knows that it did not leave
    assert world.close("2026-01-09", [second]).closed == [second]
    assert [one["id"] for one in world.statements(status="closed")] == [second]


def test_an_invoice_in_another_bill_group_replaces_what_never_left_of_the_former(world: World) -> None:
    for group in ("machines", "spares"):
        world.bill_group(group, "acme")
    world.invoice("INV-1", group="machines", due="2026-01-01", amount="100.00 EUR")
    assert world.run("2026-01-08", send=False) == ["acme level 1 100.00 EUR"]
    world.facts.put("invoices", invoice_key="salesforce:INV-1", bill_group_key="salesforce:spares")
    world.run("2026-01-09", send=False)
    assert len(world.statements(status="closed")) == 1  # both waiting messages would have said the same


def test_a_debt_that_went_to_another_account_is_reminded_with_the_interest_that_was_billed(world: World) -> None:
    world.process(WITH_FEES)
    for account in ("old", "new"):
        world.account(account)
    world.invoice("INV-1", account="old", due="2026-01-01", amount="1000.00 EUR")
    world.run("2026-01-08")
    world.facts.put("invoices", invoice_key="salesforce:INV-1", account_key="salesforce:new")
    world.facts.remove("accounts", "salesforce:old")  # the two were merged
    assert world.run("2026-01-22") == ["new level 2 1015.75 EUR"]  # 1.92 and 3.83 of interest, the fee of this level


def test_a_day_that_is_run_again_asks_for_no_charge_twice(world: World) -> None:
    world.process(WITH_FEES.replace("process: standard", "process: standard\ngrouping: per_level"))
    world.invoice("OLD", due="2026-01-01", amount="1000.00 EUR")
    world.run("2026-01-08")
    world.invoice("NEW", due="2026-01-15", amount="1000.00 EUR")
    drafts = {one["level"]: one for one in world.statements(run=world.draft("2026-01-22").run_id)}
    assert [drafts[level]["totals"]["please_pay"] for level in (2, 1)] == ["1020.75", "1006.92"]

    world.close("2026-01-22", [drafts[2]["id"]])  # it claims the fee of the 8th and posts its own
    assert world.drafts("2026-01-22") == ["acme level 1 1006.92 EUR"]


@pytest.mark.slow
def test_charges_are_carried_then_waived_when_the_principal_is_paid(world: World) -> None:
    world.process(WITH_FEES)
    world.invoice("INV-1", due="2026-01-01", amount="1000.00 EUR")
    assert world.run("2026-01-08") == ["acme level 1 1006.92 EUR"]
    assert world.run("2026-01-22") == ["acme level 2 1020.75 EUR"]  # 5 + 10 fees, 5.75 interest in all
    with world.ledger.begin() as connection:
        fee = next(
            c
            for c in charges.list_charges(connection, account="acme")
            if c.posting["level"] == 1 and c.posting["type"] == "fee"
        )
        paying = {"on": date(2026, 1, 23), "actor": "clerk", "now": noon("2026-01-23")}
        assert charges.pay(connection, fee.posting["posting_id"], amount_minor=300, reference="b1", **paying) >= 0
        assert charges.pay(connection, fee.posting["posting_id"], amount_minor=300, reference="b1", **paying) >= 0
        with pytest.raises(Refused, match="another amount"):
            charges.pay(connection, fee.posting["posting_id"], amount_minor=200, reference="b1", **paying)
    world.payment("INV-1", on="2026-01-25")
    assert world.run("2026-02-20") == []
    assert world.charges() == {}
    with reading(world.ledger) as connection:
        kinds = list(connection.scalars(select(postings.c.type).order_by(postings.c.type).distinct()))
    assert kinds == ["fee", "interest", "payment", "waiver"]


@pytest.mark.slow
def test_a_charge_that_was_paid_or_waived_since_the_run_is_not_claimed_again(world: World) -> None:
    world.process(WITH_FEES)
    for n in (1, 2, 3):
        world.invoice(f"INV-{n}", account=f"a{n}", due="2026-01-01", amount="1000.00 EUR")
    world.run("2026-01-08")
    [said] = world.draft("2026-01-09", kind="account", account="a3").statement_ids
    assert world.close("2026-01-09", [said]).closed == [said]  # a statement of account claims them too
    drafts = {one["account_id"]: one["id"] for one in world.statements(run=world.draft("2026-01-22").run_id)}
    on = {"on": date(2026, 1, 22), "actor": "clerk", "now": noon("2026-01-22")}
    with world.ledger.begin() as connection:
        fee, interest = (
            next(c for c in charges.list_charges(connection, account=a) if c.posting["type"] == kind)
            for a, kind in (("a1", "fee"), ("a2", "interest"))
        )
        charges.pay(connection, fee.posting["posting_id"], amount_minor=1, reference="b1", **on)
        charges.waive(connection, interest.posting["posting_id"], reason="goodwill", **on)
    report = world.close("2026-01-22", list(drafts.values()))
    assert report.closed == [drafts["a3"]]
    assert set(report.refused) == {drafts["a1"], drafts["a2"]}
    assert all("paid or waived since the run" in reason for reason in report.refused.values())
    asked = sorted(one["totals"]["please_pay"] for one in world.statements(run=world.draft("2026-01-22").run_id))
    assert asked == ["1018.83", "1020.74", "1020.75"]  # a waived charge stays waived: 1.92 of interest is gone


def test_a_run_never_goes_back_before_a_closed_one_but_may_be_replayed(world: World) -> None:
    world.invoice("INV-1", due="2026-01-01", amount="100.00 EUR")
    world.run("2026-01-10")
    with pytest.raises(Refused, match="before the last closed run"):
        world.draft("2026-01-09")
    rows, trail = world.rows(), _count(world, audit)
    replay = run(world.ws, dunning_date=date(2026, 1, 9), now=noon("2026-01-10"), scope=Scope(), actor="x", replay=True)
    assert replay.is_replay and (world.rows(), _count(world, audit)) == (rows, trail)


def test_a_level_that_is_never_sent_counts_from_its_closing(world: World) -> None:
    world.process("""
process: standard
levels:
  - {level: 1, when: {days: 7}, template: friendly_reminder, do_not_send: true}
  - {level: 2, when: {days: 8}, template: second_reminder}
""")
    world.invoice("INV-1", due="2026-01-01", amount="100.00 EUR")
    assert world.run("2026-01-08", send=False) == ["acme level 1 100.00 EUR"]
    assert world.drafts("2026-01-09") == ["acme level 2 100.00 EUR"]


def test_account_statements_list_all_open_items_without_a_level(world: World) -> None:
    world.invoice("INV-1", due="2026-01-01", amount="100.00 EUR")
    world.invoice("INV-2", due="2026-03-01", amount="50.00 EUR", dated="2026-01-02")
    assert world.drafts("2026-01-08", kind="account") == ["acme 150.00 EUR"]
    [draft] = world.draft("2026-01-08", kind="account").statement_ids
    assert world.close("2026-01-08", [draft]).closed == [draft]
    [row] = world.statements()
    assert (row["kind"], row["level"], row["number"]) == ("account", None, "S-2026-000001")
    assert world.drafts("2026-01-08") == ["acme level 1 100.00 EUR"]  # it is no reminder: dunning goes its own way


def test_one_invoice_at_a_level_said_by_hand_does_not_stop_the_daily_run(world: World) -> None:
    world.invoice("INV-1", due="2026-01-01", amount="100.00 EUR")
    world.invoice("INV-2", account="other", due="2026-01-01", amount="70.00 EUR")
    assert world.run("2026-01-20", invoice="INV-1", levels=(2,)) == ["acme level 2 100.00 EUR"]
    assert "other level 1 70.00 EUR" in world.drafts("2026-01-19")  # not refused, though dated before it
    assert world.drafts("2026-01-21") == ["other level 1 70.00 EUR"]


@pytest.mark.slow
def test_above_the_limit_a_second_person_closes(world: World) -> None:
    world.company(four_eyes_above="{EUR: '500'}")
    world.invoice("INV-1", due="2026-01-01", amount="900.00 EUR")
    [draft] = world.draft("2026-01-08").statement_ids
    for _ in range(2):
        assert "second person" in world.close("2026-01-08", [draft], actor="anna").refused[draft]
    editing.edit(world.ws, draft, {"language": "de"}, row_version=None, now=noon("2026-01-08"), actor="anna")
    assert "second person" in world.close("2026-01-08", [draft], actor="berta").refused[draft]  # it was edited since
    assert world.close("2026-01-08", [draft], actor="anna").closed == [draft]


def test_drafts_and_runs_are_deleted_and_nothing_else(world: World) -> None:
    world.invoice("INV-1", due="2026-01-01", amount="100.00 EUR")
    report = world.draft("2026-01-08")
    with pytest.raises(Refused, match="has 1 statements"):
        delete_run(world.ws, report.run_id, now=noon("2026-01-08"), actor="x")
    assert editing.delete_drafts(world.ws, report.statement_ids, now=noon("2026-01-08"), actor="x") == 1
    assert world.statements() == [] and len(world.statements(status="deleted")) == 1
    delete_run(world.ws, report.run_id, now=noon("2026-01-08"), actor="x")
    with pytest.raises(NotThere):
        delete_run(world.ws, report.run_id, now=noon("2026-01-08"), actor="x")
    [again] = world.draft("2026-01-08").statement_ids  # the run can be made again, with a new draft
    assert again not in report.statement_ids
    world.close("2026-01-08", [again])
    with pytest.raises(Refused, match="only drafts"):
        editing.delete_drafts(world.ws, [again], now=noon("2026-01-08"), actor="x")


def test_a_held_draft_waits_for_a_person(world: World) -> None:
    world.invoice("INV-1", due="2026-01-01", amount="100.00 EUR")
    for name in ("anna", "berta"):
        world.facts.put(
            "contacts",
            contact_key=f"salesforce:{name}",
            contact_id=name,
            account_key="salesforce:acme",
            email=f"{name}@example.com",
            dunning_contact_role="Dunning Contact",
        )
    [draft] = world.draft("2026-01-08").statement_ids
    assert world.close("2026-01-08", [draft]).refused[draft].startswith("it is held")
    with reading(world.ledger) as connection:
        assert "statement_held" in set(connection.scalars(select(findings.c.kind)))
    editing.edit(
        world.ws, draft, {"recipients": {"to": "anna@example.com"}}, row_version=None, now=noon("2026-01-08"), actor="c"
    )
    editing.release(world.ws, draft, reason="asked on the phone", now=noon("2026-01-08"), actor="c")
    assert world.close("2026-01-08", [draft]).closed == [draft]


def test_a_run_that_died_leaves_no_lock_and_is_completed_by_the_next(world: World) -> None:
    world.invoice("INV-1", due="2026-01-01", amount="100.00 EUR")
    world.draft("2026-01-08")
    with world.ledger.begin() as connection:
        connection.execute(text("update runs set status = 'running', finished_at = null"))
        connection.execute(
            text(
                "insert into leases (name, holder, acquired_at, expires_at) values "
                "('dunning run', :holder, '2026-01-01T00:00:00.000000Z', '2099-01-01T00:00:00.000000Z')"
            ),
            {"holder": _dead_process()},
        )
    assert world.draft("2026-01-08").counts["unchanged"] == 1
    with reading(world.ledger) as connection:
        assert list(connection.scalars(select(runs.c.status))) == ["done"]


def _dead_process() -> str:
    import socket
    import subprocess

    gone = subprocess.Popen(["true"])
    gone.wait()
    return f"{socket.gethostname()}:{gone.pid}:1:x"


def _count(world: World, table) -> int:
    with reading(world.ledger) as connection:
        return len(connection.execute(select(table)).all())


def test_a_name_that_the_letter_cannot_draw_is_told_while_it_is_a_draft(world: World) -> None:
    world.account("kim", name="한국 Handel 山田", city="München")
    world.invoice("A", account="kim", due="2026-01-01", amount="100.00 EUR")
    world.draft("2026-01-10")
    assert found(world) == [("letters_not_drawn", "salesforce:kim", "한국")]

    world.account("kim", name="Hankook Handel")
    world.draft("2026-01-11")
    assert found(world) == []


def test_a_letter_that_cannot_be_filed_keeps_nothing_open(world: World) -> None:
    world.invoice("A", due="2026-01-01", amount="100.00 EUR")
    drafted = world.draft("2026-01-10").statement_ids
    world.ws.statement_files.write_text("a file, where the folder should be")
    assert close(world.ws, drafted, now=noon("2026-01-10"), actor="daily").closed == drafted
    assert [one.kind for one in world.findings()] == ["pdf_not_made"]


def test_a_date_that_is_over_is_refused_once_and_not_for_each_process(world: World) -> None:
    world.invoice("A", due="2026-01-01", amount="100.00 EUR")
    world.run("2026-01-10")
    problems: list[str] = []
    asked = {"date": date(2026, 1, 9), "now": noon("2026-01-10"), "actor": "daily"}
    assert run_processes(world.ws, **asked, problems=problems) == []
    assert len(problems) == 1 and "before the last closed run" in problems[0]


def found(world: World) -> list[tuple[str, str, str]]:
    """Open findings: kind, object, and the letters that they name."""
    return [(one.kind, one.object_id, one.message.split(":")[0].split()[-1]) for one in world.findings()]
