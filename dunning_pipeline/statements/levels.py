"""Records which items reached a level once their statement was first sent, and takes it back where nobody got it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select

from dunning_pipeline.ledger.bulk import insert_stored, read_many
from dunning_pipeline.ledger.schema import item_levels, process_versions, runs, statement_details, statements
from dunning_pipeline.ledger.types import instant_text

# The sending of these counts as having reminded the debtor (domain §5, "a level counts once …").
REMINDS = ("email", "sms", "letter")


def without_reminder(connection: Connection, statement_ids: Collection[str]) -> set[str]:
    """Those of the statements that go out by no e-mail, text or letter: what is done instead is their level."""
    found = read_many(
        connection, statements, ("statement_id", "channels"), key="statement_id", values=list(statement_ids)
    )
    return {row["statement_id"] for row in found if not set(REMINDS).intersection(row["channels"])}


def record_reached(connection: Connection, *, statement_ids: Sequence[str], sent_on: date, now: datetime) -> int:
    """Write `reached` for every item that the statements list; how many are new. Again is a no-op, unless the levels
    of a statement were taken back meanwhile: then they are reached once more, by another way.

    Items that are listed with a level of before get it again with this date and deadline: the interval counts from
    the last statement on the item, not from the last one that raised its level.
    """
    columns = ("statement_id", "kind", "process", "process_hash", "due_date")
    # two workers may record two messages of one statement: the second waits, and finds what the first wrote
    found = read_many(
        connection, statements, columns, key="statement_id", values=statement_ids, order_by="statement_id", lock=True
    )
    done = _occasions(connection, statement_ids)
    wanted = {
        row["statement_id"]: row
        for row in found
        if row["kind"] == "dunning" and done[row["statement_id"]]["reached"] <= done[row["statement_id"]]["revoked"]
    }
    notices = _notice_levels(connection, {row["process_hash"] for row in wanted.values()})
    rows = []
    for item in _items(connection, list(wanted)):
        statement, times = wanted[item["statement_id"]], done[item["statement_id"]]["reached"]
        days, occasion = notices.get(statement["process_hash"]), f":{times + 1}" if times else ""
        is_before_due = item["level"] in days if days is not None else (item["days_overdue"] or 0) <= 0
        rows.append(
            (
                f"{item['statement_id']}:{item['invoice_key']}:{item['instalment']}:reached{occasion}",
                item["invoice_key"],
                item["instalment"],
                item["level"],
                statement["process"],
                "reached",
                item["statement_id"],
                sent_on.isoformat(),
                statement["due_date"] and statement["due_date"].isoformat(),
                is_before_due,
                instant_text(now),
            )
        )
    insert_stored(connection, item_levels, item_levels.columns.keys(), rows)
    return len(rows)


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


def moved_since(
    connection: Connection, drafts: Sequence[Mapping[str, Any]], details: Mapping[str, Sequence[Mapping[str, Any]]]
) -> set[str]:
    """Which of these drafts list an item that reached a level, or lost one, after the run that they are of.

    Such a draft would say the same thing twice, or go on from a reminder that nobody got: the next run decides anew.
    """
    ids = sorted({row["run_id"] for row in drafts})
    began = {
        row["run_id"]: row["started_at"]
        for row in read_many(connection, runs, ["run_id", "started_at"], key="run_id", values=ids)
    }
    listed = {
        row["statement_id"]: {
            (line["invoice_key"], line["instalment"] or 1)
            for line in details.get(row["statement_id"], ())
            if line["type"] == "invoice"
        }
        for row in drafts
        if row["kind"] == "dunning"
    }
    keys = sorted({key for items in listed.values() for key, _ in items})
    newest: dict[tuple[str, int], datetime] = {}
    columns = ("invoice_key", "instalment", "created_at")
    for row in read_many(connection, item_levels, columns, key="invoice_key", values=keys):
        item = (row["invoice_key"], row["instalment"])
        newest[item] = max(row["created_at"], newest.get(item, row["created_at"]))
    if not newest:
        return set()
    return {
        row["statement_id"]
        for row in drafts
        for item in listed.get(row["statement_id"], ())
        if item in newest and newest[item] > began[row["run_id"]]
    }


def was_sent(connection: Connection, statement_id: str) -> bool:
    """True where the statement reached its recipient: it gave levels that were not taken back."""
    done = _occasions(connection, [statement_id])[statement_id]
    return done["reached"] > done["revoked"]


def _occasions(connection: Connection, statement_ids: Sequence[str]) -> dict[str, Counter[str]]:
    """How often each statement's levels were reached and taken back (of the item with the most)."""
    columns = ("statement_id", "event", "invoice_key", "instalment")
    rows = read_many(connection, item_levels, columns, key="statement_id", values=statement_ids)
    done: dict[str, Counter[str]] = {statement_id: Counter() for statement_id in statement_ids}
    for (statement_id, event, *_), times in Counter(tuple(row.values()) for row in rows).items():
        done[statement_id][event] = max(done[statement_id][event], times)
    return done


def _items(connection: Connection, statement_ids: Sequence[str]) -> list[dict[str, Any]]:
    columns = ("statement_id", "invoice_key", "instalment", "level", "days_overdue")
    listed = "type = 'invoice' and level is not null"
    return read_many(connection, statement_details, columns, key="statement_id", values=statement_ids, where=listed)


def _notice_levels(connection: Connection, hashes: Collection[str | None]) -> dict[str | None, set[int]]:
    """By process version: its levels that fire before or on the due date; versions that are not known are left out."""
    values = [process_hash for process_hash in hashes if process_hash]
    found = read_many(connection, process_versions, ("process_hash", "content"), key="process_hash", values=values)
    return {row["process_hash"]: _before_due(row["content"]) for row in found if row["content"]}


def _before_due(process: Mapping[str, Any]) -> set[int]:
    anchors = ("due_date", "plan_due_date")
    return {
        level["level"]
        for level in process.get("levels", ())
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
