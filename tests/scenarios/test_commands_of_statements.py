"""The clerk's commands on statements and runs, as a shell would call them."""

import zipfile
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from dunning_pipeline.dunning.scope import Scope
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.leases import hold
from dunning_pipeline.statements.runs import LEASE, left_out, run_id_of
from tests.scenarios.commands import Shell
from tests.scenarios.world import DEFAULT_PROCESS, World, noon

DAY = "2026-01-10"


@pytest.fixture
def shell(world: World) -> Shell:
    """Two debts of a week, and the day's run in the shell's hand."""
    world.invoice("A", account="acme", due="2026-01-01", amount="120.00 EUR")
    world.invoice("B", account="beta/../co", due="2026-01-01", amount="900.00 EUR")
    world.publish()
    return Shell(world.ws, now=f"{DAY}T12:00:00+00:00")


def test_words_are_copied_from_the_template_and_stay_as_they_were_changed(shell: Shell) -> None:
    shell.run("run")
    [draft] = shell.json("statement", "list", "--account", "acme")
    assert draft["texts"] == {}
    texts = shell.json("statement", "copy-text", draft["id"])
    assert {"subject", "opening", "closing"} <= set(texts) and all(texts.values())
    shell.run("statement", "edit", draft["id"], "--text", "opening=As agreed on the phone.")
    shell.run("run")  # proposes beside it, never over it
    again = shell.json("statement", "copy-text", draft["id"])
    assert again == {**texts, "opening": "As agreed on the phone."}
    shell.run("statement", "close", draft["id"], "--no-pdf")
    shell.run("statement", "copy-text", draft["id"], code=1)


def test_runs_are_listed_shown_and_deleted_while_nothing_is_closed(shell: Shell) -> None:
    run = shell.json("run")
    assert [row["run_id"] for row in shell.json("runs", "list")] == [run["run_id"]]
    [shown] = shell.json("runs", "show", run["run_id"])
    assert (shown["status"], shown["created"], shown["dunning_date"]) == ("done", 2, DAY)
    shell.run("runs", "show", "2000-01-01-dunning", code=1)
    shell.run("runs", "delete", run["run_id"], code=1)  # it has drafts
    shell.run("runs", "delete", run["run_id"], "--with-drafts")
    assert shell.json("runs", "list") == [] and shell.json("statement", "list") == []
    assert len(shell.json("statement", "list", "--status", "deleted")) == 2  # kept, and numbered never

    assert shell.json("run")["created"] == 2  # the same run again begins anew
    shell.run("statement", "close", "--all", "--no-pdf")
    shell.run("runs", "delete", run["run_id"], "--with-drafts", code=1)


def test_a_run_says_why_it_is_silent(shell: Shell, world: World) -> None:
    """What a missing exchange rate holds back is told once for all invoices, and no longer when the rate is there."""
    world.process(DEFAULT_PROCESS.replace("levels:", "tolerance: {EUR: 5}\nlevels:"))
    world.payment("B", on="2026-01-02")
    world.invoice("C", account="us", due="2026-01-01", amount="77.00 USD")
    world.invoice("D", account="us", due="2026-01-01", amount="78.00 USD")
    world.publish()
    about = {"kind": "rate_missing", "severity": "error", "message": "no exchange rate for USD; the item is held"}
    with world.ledger.begin() as connection:  # as an older version told it
        raise_finding(connection, object_kind="invoice", object_id="salesforce:C", at=noon(DAY), **about)

    assert shell.json("run")["left_out"] == {"rate_missing": 2}
    assert _open_findings(world) == [("rate_missing", "currency", "USD")]
    said = shell.run("run")
    assert "Owed and not dunned: 2 rate_missing; of an account: dunning explain ACCOUNT" in said and "Look at" in said
    assert "Look at" not in shell.run("run", "--account", "us")
    assert "Owed and not dunned: 2 rate_missing" in shell.run("run", "--account", "us", "--replay")
    assert left_out(world.ws, run_id_of(noon(DAY).date(), Scope())) == {"rate_missing": 2}
    assert "left_out" not in shell.json("runs", "list")[0]
    assert shell.json("run", "--account-statements")["left_out"] == {}

    day = date(2026, 1, 9)
    world.facts.put("fx_rates", fx_key="1", rate_date=day, base="EUR", quote="USD", rate=Decimal("1.2"))
    world.publish()
    assert shell.json("run", "--account", "us")["left_out"] == {}
    assert _open_findings(world) == [("rate_missing", "currency", "USD")]  # who looked at one account only cannot know
    assert shell.json("run")["left_out"] == {}
    assert _open_findings(world) == []


def test_creditors_that_the_company_did_not_declare_are_told(shell: Shell, world: World) -> None:
    """Their debts would be asked for in the company's name, to the company's bank account."""
    world.invoice("C", account="us", due="2026-01-01", amount="77.00 EUR", legal_entity="U001")
    world.publish()
    shell.run("run")
    assert _open_findings(world) == []  # a single code is the company itself
    world.invoice("D", account="us", due="2026-01-01", amount="78.00 EUR", legal_entity="CA02")
    world.publish()
    shell.run("run")
    told = [("entity_not_declared", "legal_entity", entity) for entity in ("CA02", "U001")]
    assert sorted(_open_findings(world)) == told
    address = "{street: Way 1, city: Toronto, postal_code: M5V, country: CA}"
    world.company(legal_entities=f"{{CA02: {{name: North Inc., address: {address}}}}}")
    shell.run("run")
    assert _open_findings(world) == told[1:]


def _open_findings(world: World) -> list[tuple[str, str, str]]:
    return [(one.kind, one.object_kind, one.object_id) for one in world.findings()]


def test_a_second_live_run_says_so_and_changes_nothing(shell: Shell, world: World) -> None:
    with hold(world.ledger, LEASE):
        shell.run("run", code=1)
        assert shell.json("runs", "list") == [] and world.rows() == 0
    assert shell.json("run")["run_id"] == run_id_of(noon(DAY).date(), Scope())


def test_four_eyes_close_what_is_above_the_limit(shell: Shell, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.company(four_eyes_above="{EUR: '500'}")
    shell.run("run")
    monkeypatch.setenv("LOGNAME", "kim")
    first = shell.json("statement", "close", "--all", "--no-pdf")
    assert len(first["closed"]) == 1 and "second person" in next(iter(first["refused"].values()))
    shell.run("statement", "close", "--all", "--no-pdf", code=1)  # the same person again is no second one
    monkeypatch.setenv("LOGNAME", "lee")
    assert len(shell.json("statement", "close", "--all", "--no-pdf")["closed"]) == 1
    assert [row["number"][-6:] for row in shell.json("statement", "list")] == ["000001", "000002"]


def test_pdfs_come_as_files_as_a_zip_and_lie_once_at_each_target(shell: Shell, tmp_path: Path) -> None:
    shell.run("run")
    marked = tmp_path / "drafts"
    assert len(shell.json("statement", "distribute", str(marked), "--all", "--drafts-only")["written"]) == 2
    shell.run("statement", "close", "--all")
    said = shell.json("statement", "list")
    numbers = [row["number"] for row in said]

    letters = tmp_path / "letters.zip"
    shell.run("statement", "zip", "--all", "-o", str(letters), "--name", "{date}/{account_id}-{number}.pdf")
    with zipfile.ZipFile(letters) as archive:
        packed = {name: sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    # an id with slashes makes no folders
    assert set(packed) == {f"{DAY}/acme-{numbers[0]}.pdf", f"{DAY}/beta_.._co-{numbers[1]}.pdf"}
    assert set(packed.values()) == {row["pdf_sha256"] for row in shell.json("statement", "list")}
    shell.run("statement", "zip", "--all", "-o", str(letters), "--name", "{nonsense}.pdf", code=1)
    shell.run("statement", "zip", "--all", "-o", str(letters), "--name", "../{number}.pdf", code=1)

    for target in (str(tmp_path / "out"), f"memory://{tmp_path.name}/letters"):
        first = shell.json("statement", "distribute", target, "--all")
        assert (len(first["written"]), first["unchanged"]) == (2, [])
        assert shell.json("statement", "distribute", target, "--all") == {"written": [], "unchanged": first["written"]}
    written = {sha256(file.read_bytes()).hexdigest() for file in (tmp_path / "out").iterdir()}
    assert written == set(packed.values())
    (tmp_path / "out" / f"{numbers[0]}.pdf").unlink()  # what was taken away is brought again
    assert len(shell.json("statement", "distribute", str(tmp_path / "out"), "--all")["written"]) == 1
    shell.run("statement", "distribute", "nowhere://x", "--all", code=1)
    shell.run("statement", "zip", "--all", "-o", str(tmp_path / "missing" / "letters.zip"), code=1)
    for wrong in ("", "{number}/", "{number.__class__}", "{number!r:x}"):
        shell.run("statement", "zip", "--all", "-o", str(letters), "--name", wrong, code=1)


def test_no_letter_lies_over_another_ones_and_a_folder_has_one_name(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.run("run")
    shell.run("statement", "close", "--all")
    one, other = (row["id"] for row in shell.json("statement", "list"))
    target = tmp_path / "out.d"

    def put(where: str, *ids: str, name: str = "letter") -> dict[str, list[str]]:
        named = [part for id_ in ids for part in ("--id", id_)]
        return shell.json("statement", "distribute", where, *named, "--name", name)

    assert put(str(target), one)["written"] == [f"{target}/letter"]
    assert put(str(target), other)["written"] == [f"{target}/letter-2"]
    monkeypatch.chdir(tmp_path)
    for same in ("out.d", "out.d/", "./out.d", target.as_uri()):
        assert put(same, one, other)["unchanged"] == [f"{target}/letter", f"{target}/letter-2"]
    assert put(str(target), one, name="{number}.pdf")["unchanged"] == [f"{target}/letter"]  # the same PDF lies there
    (tmp_path / "file").write_text("no folder")
    shell.run("statement", "distribute", str(tmp_path / "file"), "--all", code=1)


def test_hostile_names_and_odd_amounts_go_through_a_whole_run(world: World, tmp_path: Path) -> None:
    names = SimpleNamespace(
        markup="<script>alert('x')</script> #set page(width: 1cm) {{ company.name }} \\ $",
        rtl="\u202eשלום עולם\u202c بسم",
        emoji="Café 🧾🦊 ﬁn",
    )
    for account, name in vars(names).items():
        world.account(account, name=name)
        world.invoice(f"I-{account}", account=account, due="2026-01-01", amount="50.00 EUR")
    world.account("odd")
    world.invoice("NULL", account="odd", due="2026-01-01", amount="0.00 EUR")
    world.invoice("BEFORE", account="odd", due="2025-12-01", dated="2026-01-02", amount="10.00 EUR")
    world.invoice("MINUS", account="odd", due="2026-01-01", amount="-25.00 EUR")
    world.invoice("WHAT", account="odd", due="2026-01-01", amount="10.00 XQX")
    world.publish()
    shell = Shell(world.ws, now=f"{DAY}T12:00:00+00:00")

    shell.run("run")
    reasons = {row["invoice_number"]: row["reason"] for row in shell.json("explain", "odd")}
    assert set(reasons) == {"NULL", "BEFORE", "MINUS", "WHAT"}  # nothing is lost
    assert reasons["NULL"] == reasons["MINUS"] == "nothing_open" and reasons["WHAT"] == "unknown_currency"
    assert {row["account_name"] for row in shell.json("statement", "list")} >= set(vars(names).values())
    report = shell.json("statement", "close", "--all")
    assert len(report["closed"]) >= 3
    for row in shell.json("statement", "list", "--status", "closed"):
        file = tmp_path / "one.pdf"
        shell.run("statement", "pdf", row["id"], "-o", str(file))
        assert file.read_bytes().startswith(b"%PDF-1.7") and row["pdf_sha256"]


@pytest.mark.slow
def test_a_clock_that_goes_back_changes_nothing(shell: Shell) -> None:
    shell.run("run")
    shell.run("statement", "close", "--all", "--no-pdf")
    before = shell.json("statement", "list")
    shell.now = "2026-01-08T12:00:00+00:00"
    shell.run("run", code=1)
    assert shell.json("statement", "list") == before
    assert shell.json("runs", "list")[0]["dunning_date"] == DAY  # not even a run is recorded
    shell.run("run", "--replay")


@pytest.mark.slow
def test_charges_alone_become_a_letter_of_their_own(world: World, tmp_path: Path) -> None:
    world.process(
        """
process: standard
charges_only: claim
levels:
  - {level: 1, when: {days: 7}, template: second_reminder, fee: {EUR: 5.00}, due_in_days: 7, approval: automatic}
"""
    )
    world.invoice("A", account="acme", due="2026-01-01", amount="120.00 EUR")
    assert world.run(DAY) == ["acme level 1 125.00 EUR"]
    world.payment("A", on="2026-01-12")
    assert world.drafts("2026-01-19") == []  # a Monday: the deadline was a Saturday and has not passed
    assert world.drafts("2026-01-20") == ["acme level 1 5.00 EUR"]
    assert world.drafts("2026-01-21") == ["acme level 1 5.00 EUR"]  # the same draft, taken over
    shell = Shell(world.ws, now="2026-01-21T12:00:00+00:00")
    [draft] = shell.json("statement", "list", "--status", "draft")
    assert draft["details"] == [{"type": "carried_fee", "level": 1, "amount": "5.00"}]
    assert draft["approval"] == "review"  # nothing of it leaves by itself
    shell.run("statement", "close", draft["id"])
    letter = tmp_path / "letter.pdf"
    shell.run("statement", "pdf", draft["id"], "-o", str(letter))
    assert letter.read_bytes().startswith(b"%PDF")
    assert world.charges() == {"EUR": 500}  # claimed again, posted once
    shell.run("statement", "send", draft["id"], "--now")
    assert shell.json("send", "--now")["sent"] == 1
    assert (
        shell.run("statement", "send", draft["id"], code=1)
        == "messages queued: 0; `dunning send` delivers what is due.\n"
    )
    assert world.drafts("2026-02-20") == []
    assert world.statements(status="superseded") == []
    owed = [(row["invoice_number"], row["open_amount_with_charges"]) for row in shell.json("charge", "balance", "acme")]
    assert owed == [(None, "5.00")]


def test_an_amount_that_the_currency_cannot_hold_is_refused_and_never_rounded(world: World) -> None:
    world.process(
        "process: standard\nlevels: [{level: 1, when: {days: 7}, template: friendly_reminder, fee: {EUR: 5}}]"
    )
    world.invoice("A", account="acme", due="2026-01-01", amount="120.00 EUR")
    world.run(DAY)
    shell = Shell(world.ws, now="2026-01-08T12:00:00+00:00")
    [charge] = shell.json("charge", "list")
    for typed in ("4.995", "NaN", "1e99", "five"):
        shell.run("charge", "pay", charge["id"], "--amount", typed, "--reference", "bank-1", code=2)
    assert shell.json("charge", "list", "--owed")[0]["owed"] == "5.00"
    shell.run("charge", "pay", charge["id"], "--amount", "4.990", "--reference", "bank-1")
    assert shell.json("charge", "list", "--owed")[0]["owed"] == "0.01"
