"""Copies the ledger while it is in use, and puts a copy back in its place."""

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError

from dunning_pipeline.errors import DunningError, NotThere, Refused
from dunning_pipeline.ledger import audit, home
from dunning_pipeline.ledger.engine import dispose, open_ledger, open_ledger_url, reading, revision_of, sqlite_file
from dunning_pipeline.ledger.migrating import HEAD
from dunning_pipeline.ledger.postgres_programs import dump, run
from dunning_pipeline.ledger.schema import metadata, number_series, runs, sends, switches
from dunning_pipeline.ledger.types import canonical_json, instant_text
from dunning_pipeline.settings.scratch import scratch_folder
from dunning_pipeline.settings.workspace import Workspace

_WAITING = ("queued", "in_flight", "held")
_STOPPED = (
    "restored from a backup: what left after it was made would leave again, from what waits or from what is proposed "
    "anew; settle it with the provider's records, then resume"
)

_NOT_NEWER = (
    f"do $$ begin if (select version_num from alembic_version) > '{HEAD}' then "
    "raise exception 'this backup was made by a newer release: install that one'; end if; end $$"
)


@dataclass(frozen=True)
class Restored:
    """What a restored ledger does not know: `waiting` messages may have left, and `lost` numbers were given since."""

    kept: Path | None  # the former ledger, where one was in use (SQLite: its file; PostgreSQL: a backup of it)
    waiting: int
    is_stopped: bool  # false only where the backup was never used
    lost: dict[str, tuple[int, int]]  # series → first and last number that only the former ledger knows
    another: str | None  # why another copy may still send, where this is not the place that messages left from


def backup(ws: Workspace, target: Path) -> Path:
    """Copy the ledger to `target` while others use it; the copy is one consistent moment.

    SQLite: a database file; PostgreSQL: a pg_dump in custom format. One of an earlier release is copied as it is, so
    that that release can go on from the copy. Raises Refused where the file exists.
    """
    if target.exists():
        raise Refused(
            "the backup file exists", value=str(target), remedy="choose another name; backups are never overwritten"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    file = sqlite_file(ws.ledger_url)
    if revision_of(ws.ledger_url) is None:
        open_ledger(ws)
    with scratch_folder(target.parent, ".ledger-backup-") as folder:  # what is begun never has a backup's name
        partial = folder / "ledger"
        if file is None:
            dump(ws, partial)
        else:
            # SQLite's own backup: the file is never opened as a plain file, which would drop the locks of this process
            with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(partial)) as copy:
                source.backup(copy, pages=4096)
        with partial.open("rb+") as handle:
            os.fsync(handle.fileno())
        partial.replace(target)
    return target


def restore(ws: Workspace, source: Path, *, replace: bool = False, now: datetime, actor: str) -> Restored:
    """Put a backup in the ledger's place and press the stop button: the next day would say again what was said since.

    The button is pressed in the backup's rows before anybody can open them. Raises NotThere, and Refused where a ledger
    that was used is there and `replace` is not said. Where it raises, the ledger in use is as it was.
    """
    if not source.is_file():
        raise NotThere("there is no such backup", value=str(source))
    file = sqlite_file(ws.ledger_url)
    _of_this_database(source, is_file=file is not None)
    given: dict[str, int] = {}
    were_home: list[home.Identity] = []
    was_used = False
    if file is None or file.exists():
        was_used = _is_used(ws, may_be_damaged=replace)
        if not replace and was_used:
            raise _not_empty()
        given = _numbers_given(ws, may_be_damaged=replace)
        were_home = _homes(ws, may_be_damaged=replace)
    stop = _stop_sql(now=now, actor=actor)
    kept = (
        _exchange_database(ws, source, stop, now, was_used) if file is None else _exchange(ws, file, source, stop, now)
    )
    waiting, is_stopped, another = _note_restore(ws, were_home, now=now, actor=actor)
    known = _numbers_given(ws)
    lost = {name: (known.get(name, 0) + 1, last) for name, last in given.items() if last > known.get(name, 0)}
    return Restored(kept, waiting, is_stopped, lost, another)


def _exchange(ws: Workspace, file: Path, source: Path, stop: str, now: datetime) -> Path | None:
    """Put a SQLite file in the ledger's place; where the former one is kept."""
    _sound(source)
    file.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(file.parent, ".ledger-restore-") as folder:
        copy = folder / "ledger"
        shutil.copyfile(source, copy)
        open_ledger_url(f"sqlite:///{copy}")  # migrated here: one that cannot be takes nobody's place
        dispose(f"sqlite:///{copy}")
        with closing(sqlite3.connect(copy)) as connection, connection:
            connection.execute(stop)
        kept = None
        if file.exists():
            dispose(ws.ledger_url)
            kept = _new_name(file, now)
            _double(file, kept)  # never a moment without a ledger: who opens none begins an empty one
            for ending in ("-wal", "-shm"):
                side = file.with_name(file.name + ending)
                if side.exists():
                    side.replace(kept.with_name(kept.name + ending))
        copy.replace(file)
    return kept


def _double(file: Path, kept: Path) -> None:
    try:
        kept.hardlink_to(file)
    except OSError:  # a file system without links
        shutil.copyfile(file, kept)


def _exchange_database(ws: Workspace, source: Path, stop: str, now: datetime, was_used: bool) -> Path | None:
    """Put a dump in the place of a PostgreSQL ledger, in one transaction; where a backup of the former one is kept.

    The tables go first, all that this release knows: the dump of an older one does not name those that came since.
    """
    ws.state.mkdir(parents=True, exist_ok=True)
    with scratch_folder(ws.state, ".ledger-restore-") as folder:
        script = folder / "ledger.sql"
        # read to its end before anything changes; owner and tables are of whoever restores
        run(None, "pg_restore", "--clean", "--if-exists", "--no-owner", f"--file={script}", str(source))
        kept = _new_name(ws.state / "ledger.dump", now) if was_used else None
        if kept is not None:
            dump(ws, folder / "former").replace(kept)
        tables = ", ".join(["alembic_version", *metadata.tables])
        run(
            ws, "psql", "--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null",
            f"--command=drop table if exists {tables}", f"--file={script}",
            "--command=reset search_path", f"--command={_NOT_NEWER}", f"--command={stop}",
        )  # fmt: skip
    dispose(ws.ledger_url)  # what opens it next migrates it
    return kept


def _new_name(file: Path, now: datetime) -> Path:
    """Where the former ledger goes: never over one that an earlier restore kept."""
    name = f"{file.stem}-before-restore-{now:%Y%m%dT%H%M%S}"
    names = (name if again == 1 else f"{name}-{again}" for again in count(1))
    return next(new for one in names if not (new := file.with_name(one + file.suffix)).exists())


def _stop_sql(*, now: datetime, actor: str) -> str:
    """Press the stop button in a backup that was used, whatever release made it; one statement for both databases.

    That no message waits tells nothing: what was proposed, closed and sent after the backup is proposed again. Where
    the button was pressed in it already, its reason comes second: who resumes must read of the restore first.
    """
    values = ("stop", canonical_json(True), _STOPPED, actor, instant_text(now))
    row = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return (
        f"insert into switches (name, value, reason, set_by, set_at) select {row} "
        "where exists (select 1 from runs) or exists (select 1 from sends) on conflict (name) do update set reason = "
        f"case when switches.reason like '{_STOPPED[:20]}%' then switches.reason "
        "else excluded.reason || coalesce(' · ' || switches.reason, '') end"
    )


def _note_restore(
    ws: Workspace, were_home: list[home.Identity], *, now: datetime, actor: str
) -> tuple[int, bool, str | None]:
    """How many messages wait, whether nothing leaves before a person has looked (`dunning send resume`), and why
    another copy may still send: one that took the place of the ledger that it is a backup of is at home.
    """
    with open_ledger(ws).begin() as connection:
        waiting = connection.scalar(select(func.count()).where(sends.c.status.in_(_WAITING))) or 0
        is_stopped = connection.scalar(select(switches.c.name).where(switches.c.name == "stop")) is not None
        audit.record(
            connection, actor=actor, action="ledger.restore", object_kind="ledger", object_id="ledger",
            after={"waiting": waiting}, at=now,
        )  # fmt: skip
        away = home.away(connection)
        if away is not None and away.home in were_home:
            home.settle(connection, actor=actor, at=now)
            away = None
        if away is not None:
            told = {"value": away.here, "reason": switches.c.reason + f" · {away.reason}"}
            untold = switches.c.reason.startswith(_STOPPED) & ~switches.c.reason.contains(away.reason, autoescape=True)
            connection.execute(update(switches).where(switches.c.name == "stop", untold).values(**told))
    return waiting, is_stopped, away.reason if away is not None else None


def _numbers_given(ws: Workspace, *, may_be_damaged: bool = False) -> dict[str, int]:
    try:
        with reading(open_ledger(ws)) as connection:
            return dict(connection.execute(select(number_series.c.series, number_series.c.last_number)).tuples().all())
    except (DBAPIError, DunningError):
        if may_be_damaged:  # that is what backups are for
            return {}
        raise


def _homes(ws: Workspace, *, may_be_damaged: bool) -> list[home.Identity]:
    try:
        with reading(open_ledger(ws)) as connection:
            return home.all_where_at_home(connection)
    except (DBAPIError, DunningError):
        if may_be_damaged:
            return []
        raise


def _of_this_database(source: Path, *, is_file: bool) -> None:
    with source.open("rb") as handle:
        is_dump = handle.read(5) == b"PGDMP"
    if is_dump == is_file:
        made_by, here = ("PostgreSQL", "SQLite") if is_dump else ("SQLite, or of nothing", "PostgreSQL")
        raise DunningError(
            f"this is a backup of {made_by}, and the ledger is in {here}",
            value=str(source),
            remedy="set DUNNING_LEDGER_URL to the database that it is of; a backup goes back into its own kind",
        )


def _sound(file: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as copy:
            answer = copy.execute("pragma integrity_check").fetchone()[0]
            copy.execute("select count(*) from statements").fetchone()
    except sqlite3.DatabaseError as error:
        raise DunningError(f"this is no ledger: {error}", value=str(file)) from None
    if answer != "ok":
        raise DunningError(f"the backup is damaged: {answer}", value=str(file), remedy="take an older one")


def _is_used(ws: Workspace, *, may_be_damaged: bool) -> bool:
    """Whether somebody decided or sent something by it; a damaged one counts as used.

    Raises Refused for a PostgreSQL ledger of a newer release: its tables are not known here, some would stay.
    """
    try:
        with reading(open_ledger(ws)) as connection:
            return any(
                connection.scalar(select(column).limit(1)) is not None for column in (runs.c.run_id, sends.c.send_key)
            )
    except (DBAPIError, DunningError) as error:
        if isinstance(error, Refused) and sqlite_file(ws.ledger_url) is None:
            raise Refused(
                error.message, remedy="restore into an empty database; this one then stays as it is"
            ) from None
        if may_be_damaged:
            return True
        raise


def _not_empty() -> Refused:
    return Refused(
        "the ledger in use holds runs or messages",
        remedy="stop everything that writes to it, then restore with --replace",
    )
