"""Records which items reached a level once their statement was first sent, and takes it back where nobody got it."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from dunning_pipeline.ledger.schema import item_levels, process_versions, statement_details, statements


def record_reached(connection: Connection, *, statement_id: str, sent_on: date, now: datetime) -> int:
    """Write `reached` for every item that the statement lists; how many are new. Again is a no-op, unless the level
    was taken back meanwhile: then it is reached once more, by another way.

    Items that are listed with a level of before get it again with this date and deadline: the interval counts from
    the last statement on the item, not from the last one that raised its level.
    """
    statement = _statement(connection, statement_id)
    if statement["kind"] != "dunning":
        return 0
    done = _occasions(connection, statement_id)
    if done["reached"] > done["revoked"]:
        return 0
    days = _notice_levels(connection, statement)
    occasion = f":{done['reached'] + 1}" if done["reached"] else ""
    rows = [
        {
            "item_level_id": f"{statement_id}:{item.invoice_key}:{item.instalment}:reached{occasion}",
            "invoice_key": item.invoice_key,
            "instalment": item.instalment,
            "level": item.level,
            "process": statement["process"],
            "event": "reached",
            "statement_id": statement_id,
            "sent_on": sent_on,
            "deadline": statement["due_date"],
            "is_before_due": item.level in days if days is not None else (item.days_overdue or 0) <= 0,
            "created_at": now,
        }
        for item in _items(connection, statement_id)
    ]
    return _insert_new(connection, rows)


def record_revoked(connection: Connection, *, statement_id: str, now: datetime, revoked_on: date | None = None) -> int:
    """Write `revoked` for every level that the statement gave: it was voided, or all recipients bounced. Idempotent."""
    reached = connection.execute(
        select(item_levels).where(item_levels.c.statement_id == statement_id, item_levels.c.event == "reached")
    ).all()
    rows = [
        {
            **row._mapping,
            "item_level_id": ":revoked".join(row.item_level_id.rsplit(":reached", 1)),
            "event": "revoked",
            "sent_on": max(revoked_on or now.date(), row.sent_on),
            "created_at": now,
        }
        for row in reached
    ]
    return _insert_new(connection, rows)


def was_sent(connection: Connection, statement_id: str) -> bool:
    """True where the statement reached its recipient: it gave levels that were not taken back."""
    done = _occasions(connection, statement_id)
    return done["reached"] > done["revoked"]


def _occasions(connection: Connection, statement_id: str) -> dict[str, int]:
    """How often the statement's levels were reached and taken back (of the item with the most)."""
    ids = connection.execute(
        select(item_levels.c.event, func.count().label("times"))
        .where(item_levels.c.statement_id == statement_id)
        .group_by(item_levels.c.event, item_levels.c.invoice_key, item_levels.c.instalment)
    )
    done = {"reached": 0, "revoked": 0}
    for event, times in ids:
        done[event] = max(done[event], times)
    return done


def _statement(connection: Connection, statement_id: str) -> Mapping[str, Any]:
    columns = (statements.c.kind, statements.c.process, statements.c.process_hash, statements.c.due_date)
    return dict(connection.execute(select(*columns).where(statements.c.statement_id == statement_id)).one()._mapping)


def _items(connection: Connection, statement_id: str) -> list[Any]:
    d = statement_details.c
    query = select(d.invoice_key, d.instalment, d.level, d.days_overdue).where(
        d.statement_id == statement_id, d.type == "invoice", d.level.is_not(None)
    )
    return list(connection.execute(query))


def _notice_levels(connection: Connection, statement: Mapping[str, Any]) -> set[int] | None:
    """Levels of the statement's process that fire before or on the due date; None where its version is not known."""
    content = connection.scalar(
        select(process_versions.c.content).where(process_versions.c.process_hash == statement["process_hash"])
    )
    if not content:
        return None
    anchors = ("due_date", "plan_due_date")
    return {
        level["level"]
        for level in content.get("levels", ())
        if level["when"]["days"] <= 0 and level["when"].get("after", "due_date") in anchors
    }


def _insert_new(connection: Connection, rows: list[dict[str, Any]]) -> int:
    if not rows:
        return 0
    known = set(
        connection.scalars(
            select(item_levels.c.item_level_id).where(
                item_levels.c.statement_id == rows[0]["statement_id"], item_levels.c.event == rows[0]["event"]
            )
        )
    )
    fresh = [row for row in rows if row["item_level_id"] not in known]
    if fresh:
        connection.execute(item_levels.insert(), fresh)
    return len(fresh)
