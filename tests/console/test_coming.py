"""The account's page tells the next steps from the last build while nothing about the account is newer than it."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from dunning_pipeline.console import lookups, published
from dunning_pipeline.console.coming import next_steps
from dunning_pipeline.settings.workspace import Workspace
from tests.scenarios.facts import Facts

BUILT = datetime(2025, 11, 3, 6, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "policies").mkdir()
    workspace = Workspace(tmp_path)
    with duckdb.connect(str(Facts().publish(workspace, "one"))) as con:
        con.execute("create or replace table snapshot (run_id varchar, run_date date, published_at timestamp)")
        con.execute("insert into snapshot values ('one', '2025-11-03', ?)", [BUILT.replace(tzinfo=None)])
        con.execute("create schema if not exists dunning")
        con.execute(
            """create or replace table dunning.decisions as select * from (values
                ('s:a', 'i1', 'R-1', '{"next_level": 2, "next_level_on": "2025-11-17"}'),
                ('s:a', 'i2', 'R-2', '{"next_level": 1, "next_level_on": "2025-11-05"}'),
                ('s:a', 'i3', null, '{"next_level": 1, "next_level_on": "2025-11-05"}'),
                ('s:a', 'i4', 'R-4', '{"next_level": null, "next_level_on": null}'),
                ('s:b', 'i5', 'R-5', '{"next_level": 1, "next_level_on": "2025-11-06"}')
            ) as t (account_key, invoice_id, invoice_number, inputs)"""
        )
    return workspace


def test_the_steps_of_an_account_are_in_order_of_their_days(workspace: Workspace) -> None:
    assert next_steps(workspace, "s:a", {"statements": [{"updated_at": BUILT - timedelta(days=1)}]}) == {
        "day": date(2025, 11, 3),
        "steps": [
            {"on": "2025-11-05", "level": 1, "items": ["R-2", "i3"]},
            {"on": "2025-11-17", "level": 2, "items": ["R-1"]},
        ],
    }


@pytest.mark.parametrize("name", ["created_at", "updated_at", "ended_at", "withdrawn_at"])
def test_what_is_newer_than_the_build_asks_for_a_new_decision(workspace: Workspace, name: str) -> None:
    assert next_steps(workspace, "s:a", {"blocks": [{"created_at": BUILT - timedelta(days=9), name: BUILT}]}) is None
    assert next_steps(workspace, "s:c", {"blocks": [{"ended_at": None}]}) == {"day": date(2025, 11, 3), "steps": []}


def test_a_draft_and_what_the_run_wrote_down_leave_the_next_steps_as_they_are(workspace: Workspace) -> None:
    record = {
        "statements": [{"status": "draft", "created_at": BUILT, "updated_at": BUILT}],
        "assignments": [{"origin": "tenant_default", "created_at": BUILT}],
        "notes": [{"created_at": BUILT}],
    }
    steps = next_steps(workspace, "s:a", record)
    assert steps is not None and len(steps["steps"]) == 2
    assert next_steps(workspace, "s:a", {"assignments": [{"origin": "manual", "created_at": BUILT}]}) is None


def test_lookups_of_an_older_version_are_made_again_before_a_page_is_answered(workspace: Workspace) -> None:
    old = lookups.file_for(workspace, published.snapshot_file(workspace)).with_name("one-1-0.sqlite")
    old.parent.mkdir(parents=True)
    old.touch()  # without the tables that this version asks for
    assert published.lookups_file(workspace).name.endswith(f"-{lookups.FORMAT}.sqlite")
    assert next_steps(workspace, "s:a", {}) is not None and not old.exists()
