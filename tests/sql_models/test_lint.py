"""The linter finds what would not run the same elsewhere; the shipped folder has nothing of it."""

from pathlib import Path

import pytest

from dunning_pipeline.sql_models.graphs.merge_fields import merge_fields_page
from dunning_pipeline.sql_models.lint import lint, main

ROOT = Path(__file__).resolve().parents[2]

FORBIDDEN = {
    "ordered-list": "list(id order by amount)",
    "date-parts": "date_diff('month', placed_on, placed_on)",
    "week-day": "extract(dow from placed_on)",
    "hash": "hash(id)",
    "percentile": "quantile_cont(amount, 0.5)",
    "date-interval": "placed_on + interval 1 month",
    "epoch": "epoch(placed_on)",
    "strptime": "try_strptime(id, '%Y')",
    "comprehension": "[x + 1 for x in amounts]",
    "star-changed": "* exclude (id)",
    "clock": "current_date",
}
SOURCES = {
    "asof-join": "a asof join b on a.at >= b.at",
    "generate-series": "generate_series(1, 3)",
    "pivot": "(pivot a on kind in ('x') using sum(amount))",
}


def findings(folder: Path, columns: str, source: str = "orders") -> list[str]:
    (folder / "data_model").mkdir(exist_ok=True)
    (folder / "dbt_project.yml").write_text("name: small\nmodel-paths: [data_model, segments]\n")
    (folder / "data_model" / "orders.sql").write_text(
        f"-- Orders.\n-- Grain: one row per id.\nselect\n    {columns}\nfrom {source}\n"
    )
    return [f"{finding.line} {finding.rule}" for finding in lint(folder)]


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_an_expression_outside_the_portable_subset_is_found_on_its_line(tmp_path: Path, rule: str) -> None:
    assert findings(tmp_path, FORBIDDEN[rule]) == [f"4 {rule}"]


@pytest.mark.parametrize("rule", SOURCES)
def test_a_source_outside_the_portable_subset_is_found_on_its_line(tmp_path: Path, rule: str) -> None:
    assert f"5 {rule}" in findings(tmp_path, "*", SOURCES[rule])


def test_what_is_portable_passes_and_a_reason_excuses(tmp_path: Path) -> None:
    good = (
        "list_sort(list(struct_pack(d := due_date, i := id))) as items, cast(epoch(posted_at) as bigint) as seconds,"
        " cast(due_date + interval 1 month as date) as next, date_diff('day', due_date, due_date) as days,"
        " string_agg(a, ',' order by a) as names"
    )
    assert findings(tmp_path, good) == []
    assert findings(tmp_path, "hash(id) as bucket  -- lint: allow hash: only a shard number") == []
    assert findings(tmp_path, "hash(id) as bucket  -- lint: allow hash:") == ["4 hash"]


def test_a_segment_says_who_owns_it_and_ends_in_its_last_step(tmp_path: Path) -> None:
    findings(tmp_path, "id")
    segments = tmp_path / "segments"
    segments.mkdir()
    (segments / "big.sql").write_text("select unified_account_id from {{ ref('orders') }}\n")
    found = {finding.rule for finding in lint(tmp_path) if finding.file.stem == "big"}
    assert found == {"header", "grain", "owner", "last-line"}


def test_the_shipped_models_are_clean() -> None:
    assert [str(finding) for finding in lint(ROOT / "dbt_like_sql")] == []
    assert main([str(ROOT / "dbt_like_sql")]) == 0


def test_the_page_of_merge_fields_is_current_and_explains_every_field() -> None:
    page = merge_fields_page(ROOT)
    assert (ROOT / "docs" / "merge_fields.md").read_text(encoding="utf-8") == page, "run the generator again"
    assert "|  |  |" not in page  # a field without words
