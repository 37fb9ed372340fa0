"""Waterfalls: an account is in the first rung that fits, and only there; limits push it on."""

from pathlib import Path

import duckdb
import pytest

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.segmenting.waterfalls import load_waterfalls, waterfall_template

ACCOUNTS = [  # id, amount, owner
    ("a", 100, "ann"), ("b", 90, "ann"), ("c", 80, "ann"), ("d", 70, "bob"), ("e", None, "bob"), ("f", 10, None),
]  # fmt: skip


def rungs(tmp_path: Path, text: str) -> dict[str, str]:
    """Account → segment:position, with all accounts in segment `everybody` and a, d, f in `few`."""
    file = tmp_path / "waterfalls.yml"
    file.write_text("waterfalls:\n  - waterfall: test\n    rungs:\n" + text)
    [waterfall] = load_waterfalls(file)
    sql = waterfall_template(waterfall).replace("{{ ref('", "").replace("') }}", "")
    con = duckdb.connect()
    con.execute(
        "create table unified_account_overview (unified_account_id varchar, overdue_amount integer, owner varchar)"
    )
    con.executemany("insert into unified_account_overview values (?, ?, ?)", ACCOUNTS)
    con.execute("create table everybody as select unified_account_id from unified_account_overview")
    con.execute("create table few as from everybody where unified_account_id in ('a', 'd', 'f')")
    return {
        row[0]: f"{row[1]}:{row[3]}"
        for row in con.execute(f"select unified_account_id, segment, rung, position from ({sql})").fetchall()
    }


def test_an_account_is_in_the_first_rung_that_fits(tmp_path: Path) -> None:
    found = rungs(tmp_path, "      - segment: few\n      - segment: everybody\n")
    assert found == {
        "a": "few:1",
        "d": "few:2",
        "f": "few:3",
        "b": "everybody:1",
        "c": "everybody:2",
        "e": "everybody:3",
    }


def test_a_limit_keeps_the_highest_and_the_rest_falls_on(tmp_path: Path) -> None:
    text = "      - {segment: everybody, limit: 2, rank_by: [overdue_amount desc]}\n      - segment: few\n"
    assert rungs(tmp_path, text) == {"a": "everybody:1", "b": "everybody:2", "d": "few:1", "f": "few:2"}


def test_a_limit_per_group_ranks_within_each_group_and_nulls_come_last(tmp_path: Path) -> None:
    text = (
        "      - {segment: everybody, limit_per_group: {group: owner, limit: 1}, rank_by: [overdue_amount desc]}\n"
        "      - {segment: few, limit: 1}\n"
    )
    assert set(rungs(tmp_path, text)) == {"a", "d", "f"}
    assert rungs(tmp_path, text)["f"].startswith("everybody")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("      - segment: few\n      - segment: few\n", ":5:9"),
        ("      - {segment: few, limit: 0}\n", ":4:24"),
        ("      - {segment: few, rank_by: [overdue_amount; drop]}\n", ":4"),
        ("      - {segmnt: few}\n", ":4"),
    ],
)
def test_a_mistake_names_its_place(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(InvalidDeclaration) as wrong:
        rungs(tmp_path, text)
    assert place in wrong.value.where


def test_the_shipped_waterfall_puts_each_overdue_account_on_one_rung(demo: Workspace) -> None:
    rows = demo.segment("collection_priority").rows()
    assert len({row["unified_account_id"] for row in rows}) == len(rows)
    first = {row["unified_account_id"] for row in demo.segment("disputed").rows()}
    assert {row["unified_account_id"] for row in rows if row["segment"] == "disputed"} == first
    overdue = {row["unified_account_id"] for row in demo.model("unified_open_items").rows() if row["days_overdue"] > 0}
    assert overdue <= {row["unified_account_id"] for row in rows}
