"""Segments: who is in them, edited and looked at, published and compared."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from click.testing import Result
from typer.testing import CliRunner

from dunning_pipeline.cli.segments import app
from dunning_pipeline.errors import InvalidDeclaration, InvalidInput, NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.segmenting.publications import (
    KEPT_PUBLICATIONS,
    diff,
    history,
    publish_segment,
)
from dunning_pipeline.sql_models.segmenting.segments import load_segments, preview

LATER = datetime(2025, 11, 4, 2, 0, tzinfo=UTC)


@pytest.fixture
def editable(demo: Workspace, tmp_path: Path) -> Workspace:
    """The published demo, with models and segments of its own to edit."""
    for folder in ("policies", "dbt_like_sql"):
        shutil.copytree(demo.root / folder, tmp_path / folder)
    shutil.copytree(demo.serving, tmp_path / ".dunning" / "serving")
    shutil.copytree(demo.state / "segments", tmp_path / ".dunning" / "segments")
    return Workspace(tmp_path)


def run(workspace: Workspace, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--workspace", str(workspace.root)])


def members(workspace: Workspace, name: str, **options: object) -> set[str]:
    return {row["unified_account_id"] for row in preview(workspace, name, **options).rows()}


def test_there_are_at_least_ten_and_each_says_what_it_is(demo: Workspace) -> None:
    segments = load_segments(demo)
    assert len(segments) >= 15
    assert {segment.kind for segment in segments} == {"standard", "custom", "waterfall"}
    assert all(segment.owner and len(segment.description) > 20 for segment in segments)


def test_a_preview_shows_what_the_build_published(demo: Workspace) -> None:
    for segment in load_segments(demo):
        built = {row["unified_account_id"] for row in demo.segment(segment.name).rows()}
        assert members(demo, segment.name) == built, segment.name
        assert history(demo, segment.name)[0].count == len(built)


def test_age_segments_split_the_overdue_accounts(demo: Workspace, snapshot: duckdb.DuckDBPyConnection) -> None:
    buckets = [members(demo, name) for name in ("overdue_1_30", "overdue_31_60", "overdue_61_90", "overdue_over_90")]
    overdue = snapshot.execute(
        "select distinct unified_account_id from unified.unified_open_items where days_overdue > 0"
    ).fetchall()
    assert set.union(*buckets) == {row[0] for row in overdue} and all(buckets)
    assert sum(map(len, buckets)) == len(overdue)


@pytest.mark.parametrize(
    "name", ["broken_promise", "disputed", "high_risk_plan", "chronic_late", "high_value_overdue", "suddenly_late"]
)
def test_the_demo_has_members_for_segments_of_every_kind(demo: Workspace, name: str) -> None:
    assert 0 < len(members(demo, name)) < 100


def test_first_time_late_accounts_have_never_cleared_anything_late(
    demo: Workspace, snapshot: duckdb.DuckDBPyConnection
) -> None:
    first = members(demo, "first_time_late")
    assert first
    late = snapshot.execute(
        "select distinct unified_account_id from dunning.items join unified.account_links using (account_key) "
        "where open_amount <= 0 and last_cleared_on > due_date"
    ).fetchall()
    assert not first & {row[0] for row in late}


def test_an_edited_segment_is_previewed_without_being_saved(demo: Workspace) -> None:
    file = demo.models / "segments" / "overdue_1_30.sql"
    edited = file.read_text().replace("between 1 and 30", "between 1 and 10")
    assert members(demo, "overdue_1_30", text=edited) < members(demo, "overdue_1_30")
    assert len(preview(demo, "overdue_1_30", limit=2)) == 2


def test_a_typo_names_file_line_and_column(demo: Workspace) -> None:
    file = demo.models / "segments" / "overdue_1_30.sql"
    text = file.read_text().replace("where oldest_days_overdue between", "where oldest_days_ovrdue between")
    line = 1 + next(n for n, row in enumerate(text.splitlines()) if "ovrdue" in row)
    with pytest.raises(InvalidDeclaration) as wrong:
        preview(demo, "overdue_1_30", text=text)
    assert (wrong.value.file, wrong.value.line, wrong.value.column) == (file, line, 11)
    assert "did you mean 'oldest_days_overdue'" in str(wrong.value)
    with pytest.raises(NotThere, match="did you mean 'overdue_1_30'"):
        preview(demo, "overdue_1_3")


def test_parameters_are_declared_checked_and_used(demo: Workspace) -> None:
    everywhere = members(demo, "overdue_above", parameters={"minimum_amount": "100", "minimum_days": "1"})
    germany = members(demo, "overdue_above", parameters={"minimum_amount": "100", "minimum_days": "1", "country": "DE"})
    assert germany < everywhere and germany
    assert members(demo, "overdue_above", parameters={"country": "O'Hare' or 'a' = 'a"}) == set()
    for wrong in ({"minimum_amount": "1000); drop table x"}, {"minimum_days": "1.5"}, {"minimum_amout": "1"}):
        with pytest.raises(InvalidInput):
            preview(demo, "overdue_above", parameters=wrong)


def test_publications_show_who_came_and_who_went(editable: Workspace) -> None:
    file = editable.models / "segments" / "overdue_1_30.sql"
    before = members(editable, "overdue_1_30")
    assert len(diff(editable, "overdue_1_30", edited=True)) == 0
    file.write_text(file.read_text().replace("between 1 and 30", "between 11 and 45"))
    changes = {row["unified_account_id"]: row["change"] for row in diff(editable, "overdue_1_30", edited=True).rows()}
    after = members(editable, "overdue_1_30")
    assert {k for k, v in changes.items() if v == "came"} == after - before
    assert {k for k, v in changes.items() if v == "went"} == before - after
    assert len(set(changes.values())) == 2

    published = publish_segment(editable, "overdue_1_30", now=LATER)
    newest, older = history(editable, "overdue_1_30")[:2]
    assert newest == published and newest.sql_sha256 != older.sql_sha256 and newest.count == len(after)
    published_rows = duckdb.from_parquet(str(published.members)).project("unified_account_id").fetchall()
    assert {row[0] for row in published_rows} == after
    assert len(diff(editable, "overdue_1_30")) == len(changes)


def test_the_command_compares_the_edited_file_until_it_is_published(editable: Workspace) -> None:
    def changes(*options: str) -> Result:
        return CliRunner().invoke(app, ["diff", "overdue_1_30", "--workspace", str(editable.root), *options])

    assert isinstance(changes().exception, NotThere)
    file = editable.models / "segments" / "overdue_1_30.sql"
    file.write_text(file.read_text().replace("between 1 and 30", "between 11 and 45"))
    edited = changes()
    assert "came" in edited.output and "the file as it is now" in edited.output
    assert isinstance(changes("--published").exception, NotThere)
    publish_segment(editable, "overdue_1_30", now=LATER)
    published = changes()
    assert published.stdout == edited.stdout and "compared: the publications" in published.output
    assert "Nobody came, nobody went." in changes("--edited").output


def test_the_last_publications_are_kept(editable: Workspace) -> None:
    with pytest.raises(NotThere, match="number 2 from the end, kept are 1"):
        diff(editable, "disputed")
    for _ in range(KEPT_PUBLICATIONS + 2):
        publish_segment(editable, "disputed", now=LATER)
    assert len(history(editable, "disputed")) == KEPT_PUBLICATIONS
    assert len(list((editable.state / "segments" / "disputed").glob("*.parquet"))) == KEPT_PUBLICATIONS


def test_the_command_lists_previews_and_refuses(demo: Workspace) -> None:
    import json

    runner = CliRunner()
    listed = runner.invoke(app, ["list", "--workspace", str(demo.root), "--format", "json"])
    entry = next(row for row in json.loads(listed.output) if row["segment"] == "overdue_above")
    assert entry["kind"] == "custom" and entry["members"] > 0 and not entry["is_edited_since"]
    shown = runner.invoke(app, ["preview", "disputed", "--workspace", str(demo.root), "--format", "json"])
    assert {row["unified_account_id"] for row in json.loads(shown.output)} == members(demo, "disputed")
    refused = runner.invoke(app, ["preview", "overdue_above", "--param", "country", "--workspace", str(demo.root)])
    assert isinstance(refused.exception, InvalidInput)


def test_a_file_that_is_not_utf8_fails_alone(editable: Workspace) -> None:
    file = editable.root / "dbt_like_sql" / "segments" / "overdue_1_30.sql"
    file.write_bytes(file.read_bytes().replace(b"oldest overdue", "älteste".encode("latin-1")))
    with pytest.raises(InvalidDeclaration, match="not UTF-8 text") as caught:
        preview(editable, "overdue_1_30")
    assert (str(caught.value.file), caught.value.line) == (str(file), 1) and "UTF-8" in (caught.value.remedy or "")
    assert members(editable, "overdue_31_60")
    told = run(editable, "preview", "overdue_31_60", "--file", str(file))
    assert isinstance(told.exception, InvalidDeclaration)


def test_a_mark_at_the_beginning_and_windows_line_ends_change_nothing(editable: Workspace) -> None:
    file = editable.root / "dbt_like_sql" / "segments" / "overdue_1_30.sql"
    before = next(segment for segment in load_segments(editable) if segment.name == "overdue_1_30")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    after = next(segment for segment in load_segments(editable) if segment.name == "overdue_1_30")
    assert (after.owner, after.description, after.sql_sha256) == (before.owner, before.description, before.sql_sha256)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("select * from members", "select * from members;\n\ndrop table x", 22, "a second statement begins here"),
        ("between 1 and 30", "between 'a' and 30", 18, "Could not convert string 'a' to INT32"),
        ("ref('unified_open_items')", "ref('overdue_1_30')", 8, "overdue_1_30 refers to itself"),
    ],
)
def test_what_is_wrong_is_shown_at_its_line(editable: Workspace, old: str, new: str, line: int, message: str) -> None:
    file = editable.root / "dbt_like_sql" / "segments" / "overdue_1_30.sql"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    for ask in (preview, lambda ws, name: publish_segment(ws, name, now=LATER)):
        with pytest.raises(InvalidDeclaration, match=message) as caught:
            ask(editable, "overdue_1_30")
        assert (str(caught.value.file), caught.value.line) == (str(file), line)


def test_a_segment_without_an_end_is_stopped_while_somebody_waits(editable: Workspace) -> None:
    file = editable.root / "dbt_like_sql" / "segments" / "overdue_1_30.sql"
    joined = "select members.* from members, range(1000000000) as a, range(1000000000) as b"
    text = file.read_text(encoding="utf-8").replace("select * from members", joined)
    file.write_text(text + "-- {{ config(meta={'seconds': 0.5}) }}\n", encoding="utf-8")
    published = len(history(editable, "overdue_1_30"))
    publish_segment(editable, "disputed", now=LATER)
    for asked in (["preview", "overdue_1_30"], ["publish", "overdue_1_30"], ["diff", "overdue_1_30", "--edited"]):
        told = run(editable, *asked).exception
        assert isinstance(told, InvalidDeclaration) and str(told).startswith(f"{file}:1: stopped after 0.5 seconds")
    assert len(history(editable, "overdue_1_30")) == published


def test_an_account_is_published_once_or_not_at_all(editable: Workspace) -> None:
    file = editable.root / "dbt_like_sql" / "segments" / "overdue_1_30.sql"
    twice = "select * from members union all select * from members union all select null"
    file.write_text(file.read_text(encoding="utf-8").replace("select * from members", twice), encoding="utf-8")
    published = len(history(editable, "overdue_1_30"))
    with pytest.raises(InvalidDeclaration, match=r"one row per account: .* rows are of one .* 1 of none"):
        publish_segment(editable, "overdue_1_30", now=LATER)
    assert len(history(editable, "overdue_1_30")) == published
    assert "not one row per account" in run(editable, "preview", "overdue_1_30").output


def test_names_that_differ_in_capitals_are_one(editable: Workspace) -> None:
    folder = editable.root / "dbt_like_sql" / "segments"
    shutil.copy(folder / "overdue_1_30.sql", folder / "Overdue_1_30.sql")
    with pytest.raises(InvalidDeclaration, match="a second model named"):
        load_segments(editable)
