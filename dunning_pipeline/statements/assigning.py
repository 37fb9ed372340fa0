"""Which process a bill group is in: stored when it is first seen, changed only by hand with a reason."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

import duckdb
from sqlalchemy import Connection, Engine, or_, select, update

from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.bulk import insert_many, read_many
from dunning_pipeline.ledger.identifiers import new_id, new_ids
from dunning_pipeline.ledger.schema import assignments
from dunning_pipeline.ledger.types import instant_text

_COLUMNS = (
    "assignment_id", "bill_group_key", "account_key", "process", "process_hash", "origin", "valid_from", "created_at",
    "created_by",
)  # fmt: skip


def store_assignments(engine: Engine, decision: Any, *, now: datetime, actor: str) -> int:
    """Keep the assignments that the decision made for bill groups seen for the first time; how many."""
    table = getattr(decision, "assignments", None)
    if table is None or table.num_rows == 0:
        return 0
    with duckdb.connect() as con:
        con.register("proposed", table)
        rows = con.execute(
            "select bill_group_key, account_key, process, process_hash, origin from proposed order by all"
        ).fetchall()
    at, since = instant_text(now), decision.dunning_date.isoformat()
    stored = ((key, *row, since, at, actor) for key, row in zip(new_ids(len(rows)), rows, strict=True))
    return insert_many(engine, assignments, _COLUMNS, stored)


def paused(connection: Connection, bill_group_keys: Collection[str], *, on: date) -> set[str]:
    """Those of the bill groups that somebody has taken out of dunning by hand, as of a date.

    The decision says `paused` of them; this is for what was drafted, closed or queued before the pause.
    """
    by_hand = "(origin = 'manual' and lower(process) = 'none') is true"  # few: of the others no row is read
    found = read_many(
        connection, assignments, ["bill_group_key"], key="bill_group_key", values=list(bill_group_keys), where=by_hand
    )
    columns = ("bill_group_key", "process", "origin", "valid_from", "valid_to", "created_at", "assignment_id")
    keys = sorted({row["bill_group_key"] for row in found})
    rows = read_many(connection, assignments, columns, key="bill_group_key", values=keys)
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row["valid_from"], row["created_at"], row["assignment_id"])):
        if row["valid_from"] <= on and (row["valid_to"] is None or row["valid_to"] >= on):
            newest[row["bill_group_key"]] = row
    return {key for key, row in newest.items() if row["origin"] == "manual" and row["process"].lower() == "none"}


def assign(
    connection: Connection,
    *,
    bill_group_key: str,
    account_key: str,
    process: str,
    known_processes: set[str],
    reason: str,
    valid_from: date,
    valid_to: date | None = None,
    actor: str,
    now: datetime,
) -> str:
    """Give a bill group another process, or `none`, until `valid_to` (then its former one counts again); the row's id.

    The same again is a no-op. Raises InvalidInput for an unknown process or an empty reason.
    """
    if process != "none" and process not in known_processes:
        raise InvalidInput(
            "there is no such process", value=process, remedy=f"one of {', '.join(sorted(known_processes))}, or none"
        )
    if not reason.strip():
        raise InvalidInput("an assignment by hand needs a reason", remedy="say why, with --reason")
    if valid_to is not None and valid_to < valid_from:
        raise InvalidInput("the assignment would end before it begins", value=valid_to)
    a = assignments.c
    current = connection.execute(
        select(assignments)
        .where(
            a.bill_group_key == bill_group_key,
            a.origin == "manual",
            or_(a.valid_to.is_(None), a.valid_to >= valid_from),
        )
        .order_by(a.created_at.desc(), a.assignment_id.desc())
        .limit(1)
    ).one_or_none()
    same = (process, reason, valid_to)
    if current is not None and (current.process, current.reason, current.valid_to) == same:
        return current.assignment_id
    assignment_id = new_id()
    connection.execute(
        assignments.insert().values(
            assignment_id=assignment_id,
            bill_group_key=bill_group_key,
            account_key=account_key,
            process=process,
            origin="manual",
            reason=reason,
            valid_from=valid_from,
            valid_to=valid_to,
            created_at=now,
            created_by=actor,
        )
    )
    audit.record(
        connection,
        actor=actor,
        action="assignment.set",
        object_kind="bill_group",
        object_id=bill_group_key,
        before={"process": current.process} if current else None,
        after={"process": process, "valid_from": valid_from, "valid_to": valid_to},
        reason=reason,
        at=now,
    )
    return assignment_id


def end_assignment(
    connection: Connection, *, bill_group_key: str, on: date, reason: str, actor: str, now: datetime
) -> bool:
    """End the manual assignment of a bill group: its former process counts again from `on`. False without one."""
    a = assignments.c
    ended = connection.execute(
        update(assignments)
        .where(a.bill_group_key == bill_group_key, a.origin == "manual", or_(a.valid_to.is_(None), a.valid_to >= on))
        .values(valid_to=date.fromordinal(on.toordinal() - 1))
    ).rowcount
    if ended:
        audit.record(
            connection,
            actor=actor,
            action="assignment.end",
            object_kind="bill_group",
            object_id=bill_group_key,
            reason=reason,
            at=now,
        )
    return bool(ended)
