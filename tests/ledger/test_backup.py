"""A backup put back is the ledger of its moment, and says what it cannot know: what left and was numbered since."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from dunning_pipeline.delivery.switches import switched_on
from dunning_pipeline.errors import DunningError, Refused
from dunning_pipeline.ledger.backup import backup, restore
from dunning_pipeline.ledger.engine import dispose, open_ledger, reading, sqlite_file
from dunning_pipeline.ledger.schema import audit, number_series, sends, statements
from dunning_pipeline.settings.workspace import Workspace
from tests.ledger.test_opening import NOW, put_statement

BY: dict[str, Any] = {"now": NOW, "actor": "engineer"}


def queued_send(key: str) -> dict[str, object]:
    return {"send_key": key, "kind": "dunning", "channel": "email", "account_key": "s:1", "recipients": {},
            "due_at": NOW, "content_sha256": "x", "status": "queued", "send_now": False, "attempts": 0,
            "queued_at": NOW, "created_by": "t"}  # fmt: skip


def saved(ws: Workspace, file: Path) -> Path:
    """A backup of a ledger with one statement, number 7 as the last one given, and one message that waits."""
    with open_ledger(ws).begin() as connection:
        put_statement(connection)
        connection.execute(insert(number_series).values(series="dunning:2026", last_number=7))
        connection.execute(insert(sends).values(**queued_send("k1")))
    if sqlite_file(ws.ledger_url) is None and shutil.which("pg_dump") is None:
        pytest.skip("pg_dump (Debian package postgresql-client) is not installed")
    return backup(ws, file)


def test_what_left_and_was_numbered_after_the_backup_is_told_and_stopped(
    ledger_workspace: Workspace, tmp_path: Path
) -> None:
    ws = ledger_workspace
    copy = saved(ws, tmp_path / "copies" / "ledger")
    with pytest.raises(Refused, match="exists"):
        backup(ws, copy)
    with open_ledger(ws).begin() as connection:
        put_statement(connection, "s2")
        connection.execute(update(number_series).values(last_number=9))
        connection.execute(update(sends).values(status="sent", sent_at=datetime(2026, 1, 11, tzinfo=UTC)))
    with pytest.raises(Refused, match="holds statements"):
        restore(ws, copy, **BY)

    restored = restore(ws, copy, replace=True, **BY)

    assert (restored.waiting, restored.lost) == (1, {"dunning:2026": (8, 9)})
    with reading(open_ledger(ws)) as connection:
        assert connection.scalars(select(statements.c.statement_id)).all() == ["s1"]
        assert "settle it with the provider" in (switched_on(connection)["stop"] or "")
        assert connection.scalars(select(audit.c.action)).all() == ["ledger.restore"]


def test_each_former_ledger_is_kept(workspace: Workspace, tmp_path: Path) -> None:
    copy = saved(workspace, tmp_path / "ledger.backup")
    kept = [restore(workspace, copy, replace=True, **BY).kept for _ in range(3)]
    assert len(set(kept)) == 3 and all(file is not None and file.is_file() for file in kept)
    dispose(workspace.ledger_url)


def test_a_backup_in_which_nothing_waits_is_stopped_too(ledger_workspace: Workspace, tmp_path: Path) -> None:
    """What was closed and sent after it is proposed again by the next day: it would leave a second time."""
    ws = ledger_workspace
    with open_ledger(ws).begin() as connection:
        put_statement(connection)
        connection.execute(insert(sends).values(**queued_send("k1")))
        connection.execute(update(sends).values(status="sent", sent_at=NOW))
    if sqlite_file(ws.ledger_url) is None and shutil.which("pg_dump") is None:
        pytest.skip("pg_dump (Debian package postgresql-client) is not installed")

    restored = restore(ws, backup(ws, tmp_path / "copy"), replace=True, **BY)

    assert (restored.waiting, restored.is_stopped) == (0, True)
    with reading(open_ledger(ws)) as connection:
        assert "proposed anew" in (switched_on(connection)["stop"] or "")


def test_a_backup_of_an_unused_ledger_stops_nothing(workspace: Workspace, tmp_path: Path) -> None:
    open_ledger(workspace)
    restored = restore(workspace, backup(workspace, tmp_path / "copy"), **BY)
    assert (restored.waiting, restored.is_stopped) == (0, False)


def test_a_damaged_ledger_is_replaced_and_a_damaged_backup_is_not_taken(workspace: Workspace, tmp_path: Path) -> None:
    copy = saved(workspace, tmp_path / "ledger.backup")
    file = sqlite_file(workspace.ledger_url)
    assert file is not None
    dispose(workspace.ledger_url)
    for side in ("-wal", "-shm"):
        file.with_name(file.name + side).unlink(missing_ok=True)
    file.write_bytes(b"no database" * 1000)
    wrong = tmp_path / "wrong.backup"
    wrong.write_bytes(copy.read_bytes()[:5000])
    with pytest.raises(DunningError, match=r"no ledger|damaged"):
        restore(workspace, wrong, replace=True, **BY)

    restored = restore(workspace, copy, replace=True, **BY)

    assert restored.kept is not None and restored.kept.read_bytes().startswith(b"no database")
    with reading(open_ledger(workspace)) as connection:
        assert connection.scalars(select(statements.c.statement_id)).all() == ["s1"]
    dispose(workspace.ledger_url)


def test_restored_into_a_fresh_folder_nothing_leaves_before_somebody_has_looked(
    workspace: Workspace, tmp_path: Path
) -> None:
    copy = saved(workspace, tmp_path / "ledger.backup")
    shutil.copytree(workspace.policies, tmp_path / "fresh" / "policies")
    fresh = Workspace(tmp_path / "fresh")

    restored = restore(fresh, copy, **BY)

    assert (restored.kept, restored.waiting, restored.is_stopped, restored.lost) == (None, 1, True, {})
    with reading(open_ledger(fresh)) as connection:
        assert "stop" in switched_on(connection)
    dispose(fresh.ledger_url)
    dispose(workspace.ledger_url)
