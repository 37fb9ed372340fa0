"""What was rendered for the decision is kept between processes, and made again when a model changes."""

from datetime import date
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from dunning_pipeline.dunning import models, rendering
from dunning_pipeline.settings.workspace import Workspace

DAY = date(2026, 1, 8)


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    (tmp_path / "policies").mkdir()
    copytree(Path(__file__).parents[2] / "dbt_like_sql", tmp_path / "dbt_like_sql")
    return Workspace(tmp_path)


def _ask(ws: Workspace, model: str = "reached_levels", **variables: Any) -> dict[str, str]:
    """Name → SQL, as a process that has just begun would get it."""
    models._rendered.cache_clear()
    found = models.rendered_models(
        ws, run_date=DAY, kind="dunning", variables=variables, catalogs={}, relations={}, up_to=[model]
    )
    return {one.name: one.sql for one in found}


def test_a_second_process_renders_nothing_and_gets_the_same(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _ask(ws)
    monkeypatch.setattr(rendering, "render", lambda *_, **__: pytest.fail("rendered again"))
    assert _ask(ws) == first
    assert "2026-01-08" in "".join(first.values()) and "0001-01-01" not in "".join(first.values())


def test_a_changed_model_a_changed_variable_and_a_broken_file_are_rendered_anew(ws: Workspace) -> None:
    before = _ask(ws)
    file = ws.models / "dunning" / "reached_levels.sql"
    file.write_text(file.read_text(encoding="utf-8") + "\n-- changed\n", encoding="utf-8")
    assert _ask(ws)["reached_levels"] != before["reached_levels"]
    assert len(list((ws.state / "rendered").iterdir())) == 1  # what nobody can ask for any more is gone

    [kept] = (ws.state / "rendered").rglob("*.json")
    kept.write_bytes(b"[half a file")
    assert _ask(ws)["reached_levels"].rstrip().endswith("-- changed")
    assert _ask(ws, "condition_failures", level_conditions=[]) != _ask(
        ws, "condition_failures",
        level_conditions=[{"process_hash": "h", "level": 1, "condition": "account.city = 'Bonn'"}],
    )  # fmt: skip
