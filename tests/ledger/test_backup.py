"""A backup put back is the ledger of its moment, and says what it cannot know: what left and was numbered since."""

import os
import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from dunning_pipeline.console.sentences import said
from dunning_pipeline.delivery.switches import switch_on, switched_on
from dunning_pipeline.errors import DunningError, Refused
from dunning_pipeline.examination import examine
from dunning_pipeline.ledger.backup import backup, restore
from dunning_pipeline.ledger.engine import dispose, open_ledger, reading, revision_of, sqlite_file
from dunning_pipeline.ledger.migrating import HEAD, current_revision
from dunning_pipeline.ledger.schema import audit, number_series, renamed_keys, sends, statements
from dunning_pipeline.settings.workspace import Workspace
from tests.ledger.earlier import at_revision
from tests.ledger.postgres import Server
from tests.ledger.test_opening import NOW, put_statement

BY: dict[str, Any] = {"now": NOW, "actor": "engineer"}


def queued_send(key: str) -> dict[str, object]:
    return {"send_key": key, "kind": "dunning", "channel": "email", "account_key": "s:1", "recipients": {},
            "due_at": NOW, "content_sha256": "x", "status": "queued", "send_now": False, "attempts": 0,
            "queued_at": NOW, "created_by": "t"}  # fmt: skip


def needs_pg_dump() -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("pg_dump (Debian package postgresql-client) is not installed")


def saved(ws: Workspace, file: Path) -> Path:
    """A backup of a ledger with one statement, number 7 as the last one given, and one message that waits."""
    with open_ledger(ws).begin() as connection:
        put_statement(connection)
        connection.execute(insert(number_series).values(series="dunning:2026", last_number=7))
        connection.execute(insert(sends).values(**queued_send("k1")))
    if sqlite_file(ws.ledger_url) is None:
        needs_pg_dump()
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
    with pytest.raises(Refused, match="holds runs or messages"):
        restore(ws, copy, **BY)

    restored = restore(ws, copy, replace=True, **BY)

    assert (restored.waiting, restored.lost) == (1, {"dunning:2026": (8, 9)})
    with reading(open_ledger(ws)) as connection:
        assert connection.scalars(select(statements.c.statement_id)).all() == ["s1"]
        assert "settle it with the provider" in (switched_on(connection)["stop"] or "")
        assert connection.scalars(select(audit.c.action)).all() == ["ledger.restore"]


def test_each_former_ledger_is_kept_and_can_be_put_back(ledger_workspace: Workspace, tmp_path: Path) -> None:
    ws = ledger_workspace
    copy = saved(ws, tmp_path / "ledger.backup")
    with open_ledger(ws).begin() as connection:
        put_statement(connection, "s2")
    kept = [file for file in (restore(ws, copy, replace=True, **BY).kept for _ in range(3)) if file is not None]
    assert len(set(kept)) == 3 and all(file.is_file() for file in kept)

    restore(ws, kept[0], replace=True, **BY)

    with reading(open_ledger(ws)) as connection:
        assert set(connection.scalars(select(statements.c.statement_id))) == {"s1", "s2"}
    dispose(ws.ledger_url)


def test_before_an_upgrade_the_ledger_is_looked_at_and_copied_as_it_is(
    ledger_workspace: Workspace, tmp_path: Path
) -> None:
    ws = ledger_workspace
    at_revision(ws, "0003")
    if sqlite_file(ws.ledger_url) is None:
        needs_pg_dump()

    [told] = [found for found in examine(ws, now=NOW) if found.what == "ledger"]
    backup(ws, tmp_path / "copy")

    assert (told.state, told.text.split(": ")[-1]) == ("warning", f"it is at revision 0003, this release has {HEAD}")
    assert revision_of(ws.ledger_url) == "0003"
    with open_ledger(ws).begin() as connection:
        put_statement(connection)
    restore(ws, tmp_path / "copy", replace=True, **BY)
    assert current_revision(open_ledger(ws)) == HEAD
    dispose(ws.ledger_url)


def test_a_backup_of_an_earlier_release_is_brought_to_this_one(ledger_workspace: Workspace, tmp_path: Path) -> None:
    ws, copy = ledger_workspace, tmp_path / "copy"
    file = sqlite_file(ws.ledger_url)
    at_revision(ws, "0003")
    if file is not None:
        shutil.copyfile(file, copy)
    else:
        needs_pg_dump()
        subprocess.run(["pg_dump", "--format=custom", f"--file={copy}", ws.ledger_url], check=True)
    with open_ledger(ws).begin() as connection:
        put_statement(connection)

    restore(ws, copy, replace=True, **BY)

    assert current_revision(open_ledger(ws)) == HEAD
    with reading(open_ledger(ws)) as connection:
        assert connection.execute(select(renamed_keys)).all() == []
        assert connection.execute(select(statements.c.statement_id)).all() == []
    dispose(ws.ledger_url)


def test_a_backup_of_a_newer_release_takes_nobodys_place(ledger_workspace: Workspace, tmp_path: Path) -> None:
    ws = ledger_workspace
    saved(ws, tmp_path / "right")
    with open_ledger(ws).begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    newer = backup(ws, tmp_path / "newer")
    with open_ledger(ws).begin() as connection:
        connection.execute(text(f"update alembic_version set version_num = '{HEAD}'"))
        put_statement(connection, "s2")
    with pytest.raises(DunningError, match="newer release"):
        restore(ws, newer, replace=True, **BY)
    with reading(open_ledger(ws)) as connection:
        assert set(connection.scalars(select(statements.c.statement_id))) == {"s1", "s2"}
    dispose(ws.ledger_url)


def test_a_backup_goes_back_into_its_own_kind_of_database(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = saved(workspace, tmp_path / "copy")
    dump = tmp_path / "dump"
    dump.write_bytes(b"PGDMP" + bytes(100))
    with pytest.raises(DunningError, match="of PostgreSQL, and the ledger is in SQLite"):
        restore(workspace, dump, replace=True, **BY)
    dispose(workspace.ledger_url)
    monkeypatch.setenv("DUNNING_LEDGER_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DunningError, match="the ledger is in PostgreSQL"):
        restore(workspace, copy, replace=True, **BY)


def test_there_is_no_moment_without_a_ledger(workspace: Workspace, tmp_path: Path) -> None:
    copy = saved(workspace, tmp_path / "copy")
    file, done, missing = sqlite_file(workspace.ledger_url), threading.Event(), []

    def watch() -> None:
        while not done.is_set():
            missing.extend([] if file is None or file.exists() else ["moment"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(10):
        restore(workspace, copy, replace=True, **BY)
    done.set()
    watcher.join()
    assert missing == []
    dispose(workspace.ledger_url)


def test_the_stop_button_is_pressed_before_anybody_can_open_what_is_restored(
    workspace: Workspace, tmp_path: Path
) -> None:
    copy = saved(workspace, tmp_path / "copy")
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("create trigger t before insert on audit begin select raise(abort, 'interrupted'); end")
    with pytest.raises(DBAPIError, match="interrupted"):
        restore(workspace, copy, replace=True, **BY)
    with reading(open_ledger(workspace)) as connection:
        assert "stop" in switched_on(connection)
    dispose(workspace.ledger_url)


def test_the_next_backup_takes_away_what_a_killed_one_left(workspace: Workspace, tmp_path: Path) -> None:
    left = tmp_path / ".ledger-backup-killed"
    left.mkdir()
    (left / "ledger").write_bytes(b"half")
    os.utime(left, (0, 0))
    backup(workspace, tmp_path / "whole")
    assert sorted(file.name for file in tmp_path.glob("*ledger-backup*")) == []
    dispose(workspace.ledger_url)


@pytest.mark.postgres
def test_a_dump_that_fails_half_way_is_no_backup_and_no_argument_has_the_password(
    postgres_server: Server, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUNNING_LEDGER_URL", postgres_server.fresh_database().replace("@", ":s3cret@"))
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$PGPASSWORD, $*" > {tmp_path}/told\n'
        'for one; do case $one in --file=*) echo half > "${one#--file=}";; esac; done\necho "out of luck" >&2; exit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(DunningError, match="pg_dump: out of luck"):
        backup(workspace, tmp_path / "copies" / "ledger")
    assert list((tmp_path / "copies").iterdir()) == []
    password, arguments = (tmp_path / "told").read_text().split(", ")
    assert password == "s3cret" and "s3cret" not in arguments
    dispose(workspace.ledger_url)


@pytest.mark.postgres
def test_a_backup_is_restored_by_another_role(
    postgres_server: Server, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_server.fresh_database()
    monkeypatch.setenv("DUNNING_LEDGER_URL", url)
    needs_pg_dump()
    copy = saved(workspace, tmp_path / "copy")
    dispose(url)
    server = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("create role night login"))
        connection.execute(text("create database of_the_night owner night"))
    server.dispose()
    theirs = make_url(url).set(username="night", database="of_the_night").render_as_string()
    monkeypatch.setenv("DUNNING_LEDGER_URL", theirs)
    assert restore(workspace, copy, **BY).waiting == 1
    dispose(theirs)


def test_a_backup_in_which_nothing_waits_is_stopped_too(ledger_workspace: Workspace, tmp_path: Path) -> None:
    """What was closed and sent after it is proposed again by the next day: it would leave a second time."""
    ws = ledger_workspace
    with open_ledger(ws).begin() as connection:
        put_statement(connection)
        connection.execute(insert(sends).values(**queued_send("k1")))
        connection.execute(update(sends).values(status="sent", sent_at=NOW))
    if sqlite_file(ws.ledger_url) is None:
        needs_pg_dump()

    restored = restore(ws, backup(ws, tmp_path / "copy"), replace=True, **BY)

    assert (restored.waiting, restored.is_stopped) == (0, True)
    with reading(open_ledger(ws)) as connection:
        assert "proposed anew" in (switched_on(connection)["stop"] or "")


def test_a_button_that_was_pressed_before_the_backup_tells_of_the_restore_too(
    ledger_workspace: Workspace, tmp_path: Path
) -> None:
    ws = ledger_workspace
    with open_ledger(ws).begin() as connection:
        switch_on(connection, "stop", actor="engineer", reason="upgrade", at=NOW)
    copy = saved(ws, tmp_path / "copy")
    for again in ("first", "second"):
        restore(ws, copy, replace=True, **BY)
        with reading(open_ledger(ws)) as connection:
            reason = switched_on(connection)["stop"] or ""
        assert reason.startswith("restored from a backup") and reason.endswith("then resume · upgrade"), again
        assert said(reason, "de").startswith("aus einer Sicherung") and said(reason, "de").endswith(" · upgrade")
        copy = backup(ws, tmp_path / again)


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
