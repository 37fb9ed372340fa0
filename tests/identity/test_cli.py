"""`dunning profile` on a published snapshot."""

import csv
import io
import json
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from dunning_pipeline.cli.profiles import app
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.schema import unified_ids
from dunning_pipeline.settings.workspace import Workspace
from tests.identity.conftest import Parties


@pytest.fixture
def published(parties: Parties, workspace: Workspace) -> Workspace:
    """A snapshot with two accounts of one company, one of another, and a pair of people to review."""
    parties.account("erp:1", name="=Acme GmbH", vat_id="DE811907980")
    parties.account("crm:2", name="=ACME", vat_id="DE811907980")
    parties.account("crm:3", name="Other AG")
    for key in ("crm:7", "crm:8"):
        parties.contact(key, first_name="Jane", last_name="Doe", postal_code="20457")
    parties.resolve()
    workspace.serving.mkdir(parents=True)
    parties.con.execute(f"attach '{workspace.serving / 'one.duckdb'}' as serving")
    parties.con.execute("copy from database memory to serving")
    parties.con.execute("detach serving")
    (workspace.serving / "current").write_text("one.duckdb\n")
    return workspace


def run(workspace: Workspace, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--workspace", str(workspace.root)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_links_as_csv(published: Workspace) -> None:
    rows = list(csv.DictReader(io.StringIO(run(published, "links", "--kind", "account", "--format", "csv"))))
    assert list(rows[0]) == ["source", "source_record_id", "unified_id", "rule", "confidence"]
    assert [(row["source"], row["source_record_id"], row["rule"]) for row in rows] == [
        ("crm", "2", "vat_id_and_name"), ("crm", "3", "alone"), ("erp", "1", "vat_id_and_name"),
    ]  # fmt: skip
    assert rows[0]["unified_id"] == rows[2]["unified_id"] != rows[1]["unified_id"]


def test_show_and_explain(published: Workspace) -> None:
    shown = json.loads(run(published, "show", "erp:1", "--format", "json"))
    assert shown["account_count"] == 2 and shown["unified_account_id"].startswith("UA-")
    (step,) = json.loads(run(published, "explain", "erp:1", "crm:2", "--format", "json"))
    assert step["rule"] == "vat_id_and_name" and "same VAT id (VAT:DE811907980)" in step["words"]
    assert "nothing to explain" in run(published, "explain", "crm:3")


def test_review_decide_sample_and_validate(published: Workspace, tmp_path: Path) -> None:
    (pair,) = json.loads(run(published, "review", "--format", "json"))
    assert (pair["rule"], pair["left_record"], pair["right_record"]) == ("postal_code_and_same_name", "crm:7", "crm:8")
    said = json.loads(
        run(published, "decide", "7", "8", "same", "--kind", "individual", "--reason", "called", "--format", "json")
    )
    assert said[0]["verdict"] == "same"
    file = tmp_path / "pairs.csv"
    assert "pairs in" in run(published, "sample", str(file), "--kind", "account")
    assert all(
        row[side][:2] == "'=" for row in csv.DictReader(file.read_text().splitlines()) for side in ("left", "right")
    )
    file.write_text(file.read_text().replace(",\n", ",yes\n").replace(",\r\n", ",yes\r\n"))
    result = CliRunner().invoke(app, ["validate", str(file)], catch_exceptions=False)
    assert result.exit_code == 0 and "stays a suggestion" in result.output


def test_decisions_are_listed_and_withdrawn_and_review_has_pages(published: Workspace) -> None:
    said = json.loads(run(published, "decide", "7", "8", "different", "--kind", "individual", "--format", "json"))
    (row,) = json.loads(run(published, "decisions", "--format", "json"))
    assert (row["decision_id"], row["verdict"], row["waits_for"]) == (said[0]["decision_id"], "cannot_link", None)
    assert "decided that they are different" in run(published, "explain", "7", "8", "--format", "json")
    assert "is withdrawn" in run(published, "withdraw", row["decision_id"], "--reason", "mistaken")
    assert "Nobody decided anything" in run(published, "decisions")
    assert "No more pairs" in run(published, "review", "--skip", "1")
    with pytest.raises(InvalidInput, match="no rule has this name") as refused:
        run(published, "review", "--rule", "none")
    assert "postal_code_and_same_name" in str(refused.value)


def test_the_review_list_is_worked_off_before_the_next_build(published: Workspace) -> None:
    (pair,) = json.loads(run(published, "review", "--format", "json"))
    assert (pair["left"], pair["right"]) == ("Jane · Doe · 20457", "Jane · Doe · 20457")
    run(published, "decide", "7", "8", "different", "--kind", "individual")
    assert json.loads(run(published, "review", "--format", "json")) == []
    assert "Nothing waits for a decision; 1 decided since the build." in run(published, "review")
    (row,) = json.loads(run(published, "decisions", "--format", "json"))
    run(published, "withdraw", row["decision_id"])
    assert "1 open pairs" in run(published, "review")


def test_a_file_of_labels_decides_many_pairs_and_tells_which_it_could_not(published: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    head = "party_kind,rule,tier,left_record,right_record,same\n"
    file.write_text(
        f"{head}individual,r,C,crm:7,crm:8,no\nindividual,r,C,crm:7,crm:9,yes\naccount,r,C,erp:1,crm:2,\n"
        ",r,C,crm:2,crm:3,nein\nindividual,r,C,crm:7,crm:8,no\nindividual,r,C,crm:8,crm:7,yes\n"
    )
    words = ("decide-all", str(file), "--reason", "called", "--workspace", str(published.root), "--format", "json")
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, InvalidInput) and "of which kind" in str(refused.exception)
    assert "Nobody decided anything" in run(published, "decisions")

    result = CliRunner().invoke(app, [*words, "--kind", "account"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {"line": 3, "refused": "no individual record has the id crm:9"},
        {"line": 7, "refused": "line 2 says the contrary"},
    ]
    assert "3 decided, 2 refused, 1 without a label" in result.stderr
    rows = json.loads(run(published, "decisions", "--format", "json"))
    assert {(row["kind"], row["left_record"], row["right_record"], row["verdict"]) for row in rows} == {
        ("individual", "crm:7", "crm:8", "cannot_link"),
        ("account", "crm:2", "crm:3", "cannot_link"),
    }


def test_a_dry_run_tells_who_would_move_and_writes_nothing(published: Workspace) -> None:
    before = run(published, "links", "--kind", "individual", "--format", "csv")
    assert json.loads(run(published, "diff", "--format", "json")) == []

    run(published, "decide", "7", "8", "same", "--kind", "individual")
    rows = json.loads(run(published, "diff", "--format", "json"))
    assert [(row["kind"], row["change"], row["record_key"], row["other_record"], row["rule"]) for row in rows] == [
        ("individual", "joins", "crm:7", "crm:8", "decided"),
        ("individual", "joins", "crm:8", "crm:7", "decided"),
    ]
    run(published, "decide", "1", "2", "different")
    rows = json.loads(run(published, "diff", "--format", "json"))
    assert [(row["change"], row["record_key"]) for row in rows if row["kind"] == "account"] == [
        ("leaves", "crm:2"),
        ("leaves", "erp:1"),
    ]
    assert "account: 2 profiles now, 3 then; 2 records would change company" in CliRunner().invoke(
        app, ["diff", "--workspace", str(published.root)]
    ).output  # fmt: skip

    assert run(published, "links", "--kind", "individual", "--format", "csv") == before
    with open_ledger(published).connect() as connection:
        assert connection.execute(select(unified_ids)).all() == []
