"""Copies the ledger while it is in use, puts a copy back, and checks that what it says is consistent."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from sqlalchemy import Connection, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from dunning_pipeline.errors import DunningError, NotThere, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.engine import dispose, open_ledger, reading, sqlite_file
from dunning_pipeline.ledger.schema import number_series, runs, sends, switches
from dunning_pipeline.settings.workspace import Workspace

_WAITING = ("queued", "in_flight", "held")
_STOPPED = (
    "restored from a backup: what left after it was made would leave again, from what waits or from what is proposed "
    "anew; settle it with the provider's records, then resume"
)

# Each query yields what breaks a rule of the record; an empty ledger of findings is a sound ledger.
CHECKS = {
    "the details of a statement sum to its total": """
        select s.statement_id from statements s
        where s.status <> 'deleted' and s.please_pay_minor <>
            (select coalesce(sum(d.amount_minor), 0) from statement_details d where d.statement_id = s.statement_id)
    """,
    "closed statements have a number, content and a closing time": """
        select statement_id from statements
        where status in ('closed', 'voided', 'superseded')
            and (number is null or content is null or closed_at is null)
    """,
    "numbers are gapless": """
        select series from number_series
        where last_number <> (
            select count(*) from statements
            where number is not null and kind || ':' || substr(cast(dunning_date as varchar(10)), 1, 4) = series
        )
    """,
    "each new charge of a closed statement is posted once": """
        select d.statement_id from statement_details d
        inner join statements s on s.statement_id = d.statement_id
        where s.status in ('closed', 'voided', 'superseded')
            and d.type in ('fee', 'interest', 'compensation') and d.amount_minor <> 0
            and not exists (
                select 1 from postings p
                where p.statement_id = d.statement_id and p.amount_minor = d.amount_minor and p.type = d.type
            )
    """,
    "void and superseded statements have nothing posted": """
        select s.statement_id from statements s
        inner join postings p on p.statement_id = s.statement_id and p.type in ('fee', 'interest', 'compensation')
        where s.status in ('voided', 'superseded')
            and p.amount_minor + coalesce((
                select sum(r.amount_minor) from postings r
                where r.reverses = p.posting_id and r.type in ('reversal', 'waiver')
            ), 0) <> 0
    """,
    "no charge is lowered below zero": """
        select p.posting_id from postings p
        inner join postings c on c.reverses = p.posting_id
        group by p.posting_id, p.amount_minor
        having p.amount_minor + sum(case when c.type = 'payment' then 0 else c.amount_minor end) < 0
            or p.amount_minor + sum(case when c.type = 'reversal' then 0 else c.amount_minor end) < 0
    """,
    "only drafts have a draft key": """
        select statement_id from statements where status <> 'draft' and draft_key is not null
    """,
}


@dataclass(frozen=True)
class Restored:
    """What a restored ledger does not know: `waiting` messages may have left, and `lost` numbers were given since."""

    kept: Path | None  # the former ledger (SQLite), where there was one
    waiting: int
    is_stopped: bool  # false only where the backup was never used
    lost: dict[str, tuple[int, int]]  # series → first and last number that only the former ledger knows


def backup(ws: Workspace, target: Path) -> Path:
    """Copy the ledger to `target` while others use it; the copy is one consistent moment.

    SQLite: a database file; PostgreSQL: a pg_dump in custom format. Raises Refused where the file exists.
    """
    if target.exists():
        raise Refused(
            "the backup file exists", value=str(target), remedy="choose another name; backups are never overwritten"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    file = sqlite_file(ws.ledger_url)
    if file is None:
        _run("pg_dump", "--format=custom", f"--file={target}", _plain_url(ws))
        return target
    open_ledger(ws)
    partial = target.with_name(f"{target.name}.partial")
    # SQLite's own backup: the file is never opened as a plain file, which would drop the locks of this process
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(partial)) as copy:
        source.backup(copy, pages=4096)
    with partial.open("rb+") as handle:
        os.fsync(handle.fileno())
    partial.replace(target)
    return target


def restore(ws: Workspace, source: Path, *, replace: bool = False, now: datetime, actor: str) -> Restored:
    """Put a backup in the ledger's place and press the stop button: the next day would say again what was said since.

    Raises NotThere, and Refused where a ledger with statements is there and `replace` is not said.
    """
    if not source.is_file():
        raise NotThere("there is no such backup", value=str(source))
    file = sqlite_file(ws.ledger_url)
    if file is not None:
        _sound(source)
    given: dict[str, int] = {}
    if file is None or file.exists():
        if not replace and _has_statements(ws):
            raise _not_empty()
        given = _numbers_given(ws, may_be_damaged=replace)
    kept = None
    if file is None:
        _run("pg_restore", "--clean", "--if-exists", "--single-transaction", f"--dbname={_plain_url(ws)}", str(source))
    else:
        kept = _exchange(ws, file, source, now)
    waiting, is_stopped = _stop_sends(ws, now=now, actor=actor)
    known = _numbers_given(ws)
    lost = {name: (known.get(name, 0) + 1, last) for name, last in given.items() if last > known.get(name, 0)}
    return Restored(kept, waiting, is_stopped, lost)


def _exchange(ws: Workspace, file: Path, source: Path, now: datetime) -> Path | None:
    """Put a SQLite file in the ledger's place; where the former one is kept."""
    kept = None
    if file.exists():
        dispose(ws.ledger_url)
        kept = _new_name(file, now)
        for ending in ("-wal", "-shm"):
            side = file.with_name(file.name + ending)
            if side.exists():
                side.replace(kept.with_name(kept.name + ending))
        file.replace(kept)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.restoring")
    shutil.copyfile(source, partial)
    partial.replace(file)
    return kept


def _new_name(file: Path, now: datetime) -> Path:
    """Where the former ledger goes: never over one that an earlier restore kept."""
    name = f"{file.stem}-before-restore-{now:%Y%m%dT%H%M%S}"
    names = (name if again == 1 else f"{name}-{again}" for again in count(1))
    return next(new for one in names if not (new := file.with_name(one + file.suffix)).exists())


def _stop_sends(ws: Workspace, *, now: datetime, actor: str) -> tuple[int, bool]:
    """How many messages wait, and whether nothing leaves before a person has looked (`dunning send resume`).

    That none waits tells nothing: what was proposed, closed and sent after the backup is proposed again.
    """
    with open_ledger(ws).begin() as connection:
        waiting = connection.scalar(select(func.count()).where(sends.c.status.in_(_WAITING))) or 0
        is_used = connection.scalar(select(runs.c.run_id).limit(1)) is not None
        is_used = is_used or connection.scalar(select(sends.c.send_key).limit(1)) is not None
        is_stopped = connection.scalar(select(switches.c.name).where(switches.c.name == "stop")) is not None
        if is_used and not is_stopped:
            row = {"name": "stop", "value": True, "reason": _STOPPED, "set_by": actor, "set_at": now}
            connection.execute(switches.insert().values(**row))
        audit.record(
            connection, actor=actor, action="ledger.restore", object_kind="ledger", object_id="ledger",
            after={"waiting": waiting}, at=now,
        )  # fmt: skip
    return waiting, is_used or is_stopped


def _numbers_given(ws: Workspace, *, may_be_damaged: bool = False) -> dict[str, int]:
    try:
        with reading(open_ledger(ws)) as connection:
            return dict(connection.execute(select(number_series.c.series, number_series.c.last_number)).tuples().all())
    except (DBAPIError, DunningError):
        if may_be_damaged:  # that is what backups are for
            return {}
        raise


def verify(ws: Workspace) -> dict[str, list[str]]:
    """Rule → ids that break it, for every rule of CHECKS and the database itself; sound where all are empty."""
    with reading(open_ledger(ws)) as connection:
        broken = {rule: [str(key) for (key,) in connection.execute(text(query))] for rule, query in CHECKS.items()}
        broken["the database file is intact"] = _integrity(connection)
    return broken


def _integrity(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    problems = [row[0] for row in connection.exec_driver_sql("pragma integrity_check") if row[0] != "ok"]
    return problems + [str(row[0]) for row in connection.exec_driver_sql("pragma foreign_key_check")]


def _sound(file: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as copy:
            answer = copy.execute("pragma integrity_check").fetchone()[0]
            copy.execute("select count(*) from statements").fetchone()
    except sqlite3.DatabaseError as error:
        raise DunningError(f"this is no ledger: {error}", value=str(file)) from None
    if answer != "ok":
        raise DunningError(f"the backup is damaged: {answer}", value=str(file), remedy="take an older one")


def _has_statements(ws: Workspace) -> bool:
    with reading(open_ledger(ws)) as connection:
        return connection.scalar(text("select 1 from statements limit 1")) is not None


def _not_empty() -> Refused:
    return Refused(
        "the ledger in use holds statements", remedy="stop everything that writes to it, then restore with --replace"
    )


def _plain_url(ws: Workspace) -> str:
    return make_url(ws.ledger_url).set(drivername="postgresql").render_as_string(hide_password=False)


def _run(program: str, *arguments: str) -> None:
    try:
        subprocess.run([program, *arguments], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise DunningError(f"{program} is not installed", remedy="install Debian's postgresql-client") from None
    except subprocess.CalledProcessError as error:
        raise DunningError(f"{program}: {error.stderr.strip()[-500:]}") from None
