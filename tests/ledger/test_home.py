"""A ledger knows the place that messages left from: a copy of it finds that it is one, what was moved does not."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command as alembic
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.engine import make_url

from dunning_pipeline.console.sentences import said
from dunning_pipeline.delivery.switches import resume, stop_where_away, switch_on, switched_on
from dunning_pipeline.examination import examine
from dunning_pipeline.ledger import home
from dunning_pipeline.ledger.backup import backup, restore
from dunning_pipeline.ledger.engine import dispose, open_ledger, open_ledger_url, reading, sqlite_file
from dunning_pipeline.ledger.migrating import alembic_config
from dunning_pipeline.ledger.schema import audit, homes, sends
from dunning_pipeline.settings.workspace import Workspace
from tests.ledger.postgres import Server
from tests.ledger.test_backup import BY, needs_pg_dump, queued_send
from tests.ledger.test_opening import NOW

SAID: dict[str, Any] = {"actor": "delivery", "at": NOW}


def settled(url: str) -> str:
    """The URL of a ledger from which a message left."""
    with open_ledger_url(url).begin() as connection:
        connection.execute(insert(sends).values(**queued_send("k1")))
        home.settle(connection, **SAID)
    return url


def why_away(url: str) -> str | None:
    with reading(open_ledger_url(url)) as connection:
        found = home.away(connection)
    dispose(url)
    return found and found.reason


def copied(file: Path, to: Path) -> str:
    """As `cp -r` does it, while nobody writes."""
    dispose(f"sqlite:///{file}")
    to.parent.mkdir()
    shutil.copy2(file, to)
    return f"sqlite:///{to}"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    file = tmp_path / "here" / "ledger.sqlite"
    if home.file_identity(tmp_path) is None:
        pytest.skip("this file system tells no birth of a file")
    settled(f"sqlite:///{file}")
    return file


def test_a_copy_is_away_and_the_first_stays_at_home(ledger: Path, tmp_path: Path) -> None:
    why = why_away(copied(ledger, tmp_path / "there" / "ledger.sqlite"))
    assert why is not None and f"left from {ledger}" in why and "another file" in why and "send resume" in why
    assert why_away(f"sqlite:///{ledger}") is None


def moved(ledger: Path) -> Path:
    return ledger.parent.rename(ledger.parent.with_name("elsewhere")) / ledger.name


def vacuumed(ledger: Path) -> Path:
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("vacuum")
    return ledger


def touched(ledger: Path) -> Path:
    ledger.chmod(0o600)
    os.utime(ledger, (0, 0))
    return ledger


@pytest.mark.parametrize("act", [moved, vacuumed, touched])
def test_what_is_moved_or_written_anew_in_its_place_stays_at_home(ledger: Path, act: Callable[[Path], Path]) -> None:
    dispose(f"sqlite:///{ledger}")
    assert why_away(f"sqlite:///{act(ledger)}") is None


def test_a_disk_that_was_restored_beside_the_first_is_another_machine(tmp_path: Path) -> None:
    def computer(name: str, **cards: tuple[str, str, str]) -> home.Identity:
        """Cards as name=(address, how it was assigned, what it is plugged into)."""
        root = tmp_path / name
        (root / "etc").mkdir(parents=True)
        (root / "etc/machine-id").write_text("3d1219c7\n")
        for card, (address, assigned, slot) in cards.items():
            folder = root / "sys/class/net" / card
            folder.mkdir(parents=True)
            (folder / "address").write_text(f"{address}\n")
            (folder / "addr_assign_type").write_text(f"{assigned}\n")
            (root / slot).mkdir(parents=True, exist_ok=True)
            (folder / "device").symlink_to(root / slot)
        return home.machine(root)

    first = computer("first", eth0=("52:54:00:aa", "0", "pci/1"), eth1=("52:54:00:ab", "0", "pci/2"))
    one_card_less = computer("mended", eth0=("52:54:00:ab", "0", "pci/1"), eth1=("52:54:00:ac", "0", "pci/2"))
    beside = computer("beside", eth0=("52:54:00:bb", "0", "pci/1"))
    container = computer("container", eth0=("02:42:ac:11", "3", "pci/1"), usb0=("52:54:00:dd", "0", "pci/usb1/1"))
    assert home.other_in(first, beside) == "machine"
    assert home.other_in(first, one_card_less) is None
    assert container == {} and home.other_in(first, container) is None and home.other_in(container, first) is None
    assert home.other_in(first, beside | {"machine": "another"}) is None  # a volume that another machine took over


def test_where_nothing_tells_a_file_from_its_copy_nothing_is_remembered(ledger: Path) -> None:
    assert home.file_identity(Path("/proc/self/status")) is None
    assert home.file_identity(ledger.with_name("none")) is None
    known = {"file": "1:2.3", "machine": "m", "cards": ["c"]}
    assert home.other_in(known, {"server": "1", "database": 2}) is None


def test_a_ledger_of_an_earlier_release_is_at_home_where_it_first_sends(ledger_workspace: Workspace) -> None:
    ws = ledger_workspace
    is_file = sqlite_file(ws.ledger_url) is not None
    if is_file:
        ws.state.mkdir()
    engine = create_engine(make_url(ws.ledger_url).set(drivername="sqlite" if is_file else "postgresql+psycopg"))
    with engine.begin() as connection:
        alembic.upgrade(alembic_config(connection), "0006")
        connection.execute(insert(sends).values(**queued_send("k1")))
    engine.dispose()
    with open_ledger(ws).begin() as connection:
        assert home.away(connection) is None and not home.has_home(connection)
        home.settle(connection, **SAID)
        home.settle(connection, **SAID)
        assert home.away(connection) is None
        assert connection.execute(select(homes.c.number, homes.c.by)).all() == [(1, "delivery")]


def test_the_doctor_tells_of_a_copy_before_it_sends_and_writes_nothing(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    def told(url: str) -> list[str]:
        monkeypatch.setenv("DUNNING_LEDGER_URL", url)
        return [found.text for found in examine(workspace, now=NOW) if "this ledger is a copy" in found.text]

    copy = copied(ledger, tmp_path / "there" / "ledger.sqlite")
    [reason] = told(copy)
    assert reason == f"nothing will leave: {why_away(copy)}"
    with reading(open_ledger_url(copy)) as connection:
        assert switched_on(connection) == {}
    with open_ledger_url(copy).begin() as connection:
        assert stop_where_away(connection, **SAID)
    assert len(told(copy)) == 1 and "the stop button is pressed" in told(copy)[0]
    assert told(f"sqlite:///{ledger}") == []
    dispose(copy)


def test_who_resumes_in_a_copy_was_told_first_that_it_is_one(ledger: Path, tmp_path: Path) -> None:
    """A stop that was pressed for something else, or before it was copied, does not let a copy send."""
    with open_ledger_url(f"sqlite:///{ledger}").begin() as connection:
        switch_on(connection, "stop", actor="clerk", reason="wrong template", at=NOW)
    copy = copied(ledger, tmp_path / "there" / "ledger.sqlite")
    with open_ledger_url(copy).begin() as connection:
        was_stopped, why = resume(connection, **SAID)
        assert was_stopped and why is not None and "Make sure that the other one" in why
        assert switched_on(connection)["stop"] == why
        assert resume(connection, actor="engineer", at=NOW) == (True, None)
        assert switched_on(connection) == {} and home.away(connection) is None
        named = select(audit.c.before, audit.c.after, audit.c.actor).where(audit.c.action == "ledger.home")
        [(before, after, actor)] = connection.execute(named).all()
    assert str(ledger) in before["place"] and "there" in after["place"] and actor == "engineer"
    with open_ledger_url(f"sqlite:///{ledger}").begin() as connection:
        assert resume(connection, **SAID) == (True, None)
        assert len(connection.execute(select(homes)).all()) == 1
    second = copied(tmp_path / "there" / "ledger.sqlite", tmp_path / "third" / "ledger.sqlite")
    assert "there" in (why_away(second) or "")


def test_a_backup_in_its_ledgers_place_is_at_home(ledger_workspace: Workspace, tmp_path: Path) -> None:
    ws = ledger_workspace
    settled(ws.ledger_url)
    if sqlite_file(ws.ledger_url) is None:
        needs_pg_dump()
    copy = backup(ws, tmp_path / "copy")
    for _ in range(2):  # of the second one the backup knows less than the ledger: where it was before the first
        restored = restore(ws, copy, replace=True, **BY)
        assert restored.is_stopped and restored.another is None
    with open_ledger(ws).begin() as connection:
        assert home.away(connection) is None
        assert resume(connection, **SAID) == (True, None)


def test_a_backup_that_is_restored_elsewhere_says_that_the_other_may_send(workspace: Workspace, tmp_path: Path) -> None:
    settled(workspace.ledger_url)
    with reading(open_ledger(workspace)) as connection:
        if not home.has_home(connection):
            pytest.skip("this file system tells no birth of a file")
    copy = backup(workspace, tmp_path / "copy")
    shutil.copytree(workspace.policies, tmp_path / "fresh" / "policies")
    fresh = Workspace(tmp_path / "fresh")

    restored = restore(fresh, copy, **BY)

    assert restored.is_stopped and "another file" in (restored.another or "")
    with open_ledger(fresh).begin() as connection:
        reason = switched_on(connection)["stop"] or ""
        assert reason.startswith("restored from a backup") and str(workspace.state) in reason
        german = said(reason, "de")  # the audit trail in the console
        assert (
            german.startswith("aus einer Sicherung") and " · dieses Ledger" in german and "eine andere Datei" in german
        )
        assert resume(connection, **SAID) == (True, None)  # it was told at once
        assert home.away(connection) is None
    dispose(fresh.ledger_url)
    dispose(workspace.ledger_url)


@pytest.mark.postgres
def test_a_dump_that_is_read_into_another_database_is_a_copy(
    postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_pg_dump()
    first, second = settled(postgres_server.fresh_database()), postgres_server.fresh_database()
    dispose(first)
    subprocess.run(["pg_dump", f"--file={tmp_path / 'dump.sql'}", first], check=True)
    subprocess.run(["psql", "--quiet", "--output=/dev/null", f"--file={tmp_path / 'dump.sql'}", second], check=True)
    why = why_away(second)
    name = make_url(first).database
    assert why is not None and f"left from the database {name} at 127.0.0.1" in why and "another database" in why
    assert why_away(first) is None


@pytest.mark.postgres
def test_of_a_cluster_that_tells_its_number_to_nobody_the_database_is_known(postgres_server: Server) -> None:
    url = postgres_server.fresh_database()
    with open_ledger_url(url).begin() as connection:
        told = home.identity(connection)
        connection.execute(text("revoke execute on function pg_control_system from public"))
        connection.execute(text("create role plain login"))
        connection.execute(text("set local role plain"))
        untold = home.identity(connection)
        connection.execute(text("reset role"))
    dispose(url)
    assert told is not None and untold == told | {"server": None} and told["server"]
    assert home.other_in(told, untold) is None and home.other_in(untold, told) is None
    assert home.other_in(told, told | {"server": "7"}) == "server"
