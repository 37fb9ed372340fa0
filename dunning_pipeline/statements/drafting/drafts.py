"""Writes proposals as drafts: new ones inserted, changed ones updated under their hand edits, stale ones removed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, bindparam, delete, select, update

from dunning_pipeline.ledger.bulk import chunks, insert_stored, lock_rows
from dunning_pipeline.ledger.identifiers import new_ids
from dunning_pipeline.ledger.schema import audit, decisions, statement_details, statements
from dunning_pipeline.ledger.types import canonical_json, instant_text
from dunning_pipeline.statements.drafting.proposals import (
    DECISION_COLUMNS,
    DETAIL_COLUMNS,
    PROPOSED,
    STATEMENT_COLUMNS,
    Comparison,
    Proposals,
)

Progress = Callable[[str, int, int], None]
# Fields of a draft that a person may set; a later run proposes beside them, never over them.
EDITABLE = (
    "due_date", "language", "template", "channels", "recipients", "address", "attach_invoices", "do_not_send",
    "distribution", "texts",
)  # fmt: skip


@dataclass(frozen=True)
class DraftCounts:
    """What a run did to the drafts."""

    created: int
    updated: int
    unchanged: int
    removed: int


def store_drafts(
    engine: Engine,
    proposals: Proposals,
    compared: Comparison,
    *,
    run_id: str,
    stale: Sequence[str],
    now: datetime,
    actor: str,
    progress: Progress | None = None,
) -> DraftCounts:
    """Write what `proposals.compare` found, in transactions of about 2,000 drafts, and remove the `stale` ones.

    A crash leaves whole chunks; the same run again completes them.
    """
    total, done = compared.new + compared.changed + len(stale), 0
    for fate, write in (("new", _insert), ("changed", _update)):
        for rows, details, judged in proposals.chunks(fate, run_id=run_id, now=now, actor=actor):
            with engine.begin() as connection:
                write(connection, rows, details, judged)
            done += len(rows)
            _say(progress, done, total)
    removed = remove_drafts(engine, stale, now=now, actor=actor, reason="no longer proposed")
    _say(progress, done + removed, total)
    return DraftCounts(compared.new, compared.changed, compared.unchanged, removed)


def remove_drafts(engine: Engine, ids: Iterable[str], *, now: datetime, actor: str, reason: str) -> int:
    """Delete drafts (status `deleted`; their rows stay); what is no draft is left alone. How many."""
    removed = 0
    for chunk in chunks(ids, 900):
        with engine.begin() as connection:
            s = statements.c
            lock_rows(connection, statements, key="statement_id", values=chunk)
            gone = list(
                connection.scalars(select(s.statement_id).where(s.statement_id.in_(chunk), s.status == "draft"))
            )
            connection.execute(
                update(statements)
                .where(s.statement_id.in_(gone))
                .values(status="deleted", draft_key=None, updated_at=now, updated_by=actor)
            )
            audit_many(connection, gone, action="statement.delete", actor=actor, now=now, reason=reason)
            removed += len(gone)
    return removed


def audit_many(
    connection: Connection, ids: Sequence[str], *, action: str, actor: str, now: datetime, reason: str | None = None
) -> None:
    """One audit row per statement, written in bulk."""
    at, written_at = instant_text(now), instant_text(datetime.now(now.tzinfo))
    columns = ("audit_id", "at", "business_at", "actor", "action", "object_kind", "object_id", "reason")
    rows = [
        (audit_id, written_at, at, actor, action, "statement", statement_id, reason)
        for audit_id, statement_id in zip(new_ids(len(ids)), ids, strict=True)
    ]
    insert_stored(connection, audit, columns, rows)


def merge_hand_edits(proposed: dict[str, Any], hand_edits: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(row to store, conflicts): hand edits stay, and where the proposal differs it is kept beside them to be shown."""
    conflicts = {}
    for field, value in hand_edits.items():
        if field in proposed and field not in ("texts", "distribution"):
            offered = _plain(proposed[field], field)
            if offered != value:
                conflicts[field] = offered
            proposed[field] = _stored(value, field)
    return proposed, conflicts


def _insert(
    connection: Connection, rows: list[tuple[Any, ...]], details: list[tuple[Any, ...]], judged: list[tuple[Any, ...]]
) -> None:
    insert_stored(connection, statements, STATEMENT_COLUMNS, rows)
    insert_stored(connection, statement_details, DETAIL_COLUMNS, details)
    insert_stored(connection, decisions, DECISION_COLUMNS, judged)


def _update(
    connection: Connection, rows: list[tuple[Any, ...]], details: list[tuple[Any, ...]], judged: list[tuple[Any, ...]]
) -> None:
    ids = [row[0] for row in rows]
    drafts = _still_drafts(connection, ids)
    values = []
    for row in rows:
        named = dict(zip(STATEMENT_COLUMNS, row, strict=True))
        if (known := drafts.get(named["statement_id"])) is None:
            continue  # closed or deleted since we looked: what a person did stands
        proposed, conflicts = merge_hand_edits({name: named[name] for name in PROPOSED}, known)
        kept = ("run_id", "proposal_sha256", "updated_at", "updated_by")
        values.append(
            {f"b_{name}": value for name, value in proposed.items()}
            | {f"b_{name}": named[name] for name in kept}
            | {"b_conflicts": canonical_json(conflicts), "b_id": named["statement_id"]}
        )
    if values:
        connection.exec_driver_sql(*_update_statement(connection, values))
    _replace(connection, statement_details, DETAIL_COLUMNS, list(drafts), details)
    _replace(connection, decisions, DECISION_COLUMNS, list(drafts), judged)


def _still_drafts(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    s = statements.c
    lock_rows(connection, statements, key="statement_id", values=ids)  # nobody closes one while we write over it
    for chunk in chunks(ids, 900):
        query = select(s.statement_id, s.hand_edits).where(s.statement_id.in_(chunk), s.status == "draft")
        found |= {key: edits or {} for key, edits in connection.execute(query)}
    return found


def _update_statement(connection: Connection, values: list[dict[str, Any]]) -> tuple[str, Any]:
    """The update of many drafts in stored form, past SQLAlchemy's value processing."""
    names = [name for name in values[0] if name != "b_id"]
    mark = (lambda name: f":{name}") if connection.dialect.name == "sqlite" else (lambda name: f"%({name})s")
    sets = ", ".join(f'"{name[2:]}" = {mark(name)}' for name in names)
    return f"update statements set {sets}, row_version = row_version + 1 where statement_id = {mark('b_id')}", values


def _replace(
    connection: Connection, table: Any, columns: Sequence[str], ids: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    if ids:
        gone = [{"gone": key} for key in ids]
        connection.execute(delete(table).where(table.c.statement_id == bindparam("gone")), gone)
    mine = set(ids)
    insert_stored(connection, table, columns, [row for row in rows if row[0] in mine])


def _plain(stored: Any, field: str) -> Any:
    """A proposed value as hand edits hold it: JSON decoded, the rest as it is."""
    json_fields = ("channels", "recipients", "address")
    return orjson.loads(stored) if field in json_fields and isinstance(stored, str) else stored


def _stored(value: Any, field: str) -> Any:
    return canonical_json(value) if field in ("channels", "recipients", "address") else value


def _say(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress("writing drafts", done, total)
