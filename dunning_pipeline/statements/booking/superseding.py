"""A newly closed statement replaces older ones of its unit that were closed and never left; their postings go back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.bulk import chunks, read_many
from dunning_pipeline.ledger.schema import item_levels, sends, statement_details, statements
from dunning_pipeline.statements.booking.posting import reverse_postings
from dunning_pipeline.statements.drafting.drafts import audit_many
from dunning_pipeline.statements.levels import was_sent

Row = Mapping[str, Any]
Item = tuple[str, int]
WAITING = ("queued", "held")
_UNDER_WAY = ("in_flight", "unknown")


def supersede_unsent(
    connection: Connection,
    fresh: Sequence[Row],
    details: Mapping[str, Sequence[Row]],
    *,
    now: datetime,
    actor: str,
) -> list[str]:
    """Supersede what the `fresh` statements (about to be closed) replace; ids of the superseded ones.

    Replaced is a closed statement of the same kind that lists one of their items, in whatever unit, and has not left:
    no send of it is sent, under way or of unknown outcome, and no level counts by it. Its waiting sends become
    superseded.
    """
    replaced = _replaced_by(connection, fresh, details)
    if not replaced:
        return []
    for old, new in replaced.items():
        connection.execute(
            update(statements)
            .where(statements.c.statement_id == old, statements.c.status == "closed")
            .values(
                status="superseded",
                superseded_by=new,
                row_version=statements.c.row_version + 1,
                updated_at=now,
                updated_by=actor,
            )
        )
    gone = list(replaced)
    for chunk in chunks(gone, 900):
        connection.execute(
            update(sends)
            .where(sends.c.statement_id.in_(chunk), sends.c.status.in_(WAITING))
            .values(status="superseded", reason="a newer statement replaces it", held_back_at=now)
        )
    reverse_postings(connection, gone, on=_last_date(fresh, now), reason="superseded", actor=actor, now=now)
    audit_many(connection, gone, action="statement.supersede", actor=actor, now=now)
    return gone


def has_left(connection: Connection, statement_ids: Sequence[str]) -> set[str]:
    """Which of these statements were sent, or may have been."""
    left = _with_sends(connection, statement_ids, (*_UNDER_WAY, "sent"))
    for chunk in chunks(statement_ids, 900):
        left |= set(connection.scalars(select(item_levels.c.statement_id).where(item_levels.c.statement_id.in_(chunk))))
    return left


def in_doubt(connection: Connection, drafts: Sequence[Row], details: Mapping[str, Sequence[Row]]) -> set[str]:
    """Which of these drafts list an item of a reminder that may have left: closed beside it, both would be said."""
    reminders = [row for row in drafts if row["kind"] == "dunning"]
    before = _closed_before(connection, reminders, details)
    under_way = _with_sends(connection, [row["statement_id"] for row, _ in before], _UNDER_WAY)
    doubtful = {one for one in under_way if not was_sent(connection, one)}
    return {
        new["statement_id"]
        for row, newer in before
        for new in newer
        if row["statement_id"] in doubtful and _same_case(new, row)
    }


def _with_sends(connection: Connection, statement_ids: Sequence[str], statuses: Sequence[str]) -> set[str]:
    """Those of the statements that have a send of such a status."""
    found: set[str] = set()
    for chunk in chunks(statement_ids, 900):
        asked = sends.c.statement_id.in_(chunk) & sends.c.status.in_(statuses) & (sends.c.kind != "draft")
        found |= set(connection.scalars(select(sends.c.statement_id).where(asked)))
    return found


def refuse_if_under_way(connection: Connection, statement_id: str) -> None:
    """Raise Refused while a send of the statement is on the wire: nobody knows yet whether it left."""
    busy = connection.scalar(
        select(sends.c.send_key).where(sends.c.statement_id == statement_id, sends.c.status == "in_flight")
    )
    if busy is not None:
        raise Refused("a message of this statement is being sent right now", value=busy, remedy="try again in a minute")


def _replaced_by(connection: Connection, fresh: Sequence[Row], details: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """Old statement id → new one. Only what shares an item: statements of other levels of the unit stand beside it."""
    before = _closed_before(connection, fresh, details, lock=True)
    left = has_left(connection, [row["statement_id"] for row, _ in before])
    return {
        row["statement_id"]: new["statement_id"]
        for row, newer in before
        for new in newer
        if row["statement_id"] not in left and _same_case(new, row)
    }


def _closed_before(
    connection: Connection, fresh: Sequence[Row], details: Mapping[str, Sequence[Row]], *, lock: bool = False
) -> list[tuple[Row, list[Row]]]:
    """Statements that are closed, each with those of the `fresh` ones that list an item of it.

    By the item and not by its unit: an invoice that has gone to another bill group is the same invoice.
    """
    by_item: dict[Item, list[Row]] = {}
    for row in fresh:
        for item in _items(details.get(row["statement_id"], ())):
            by_item.setdefault(item, []).append(row)
    lines = read_many(
        connection, statement_details, ("statement_id", "invoice_key", "instalment", "type"), key="invoice_key",
        values=sorted({key for key, _ in by_item}), where="type = 'invoice'",
    )  # fmt: skip
    mine = {row["statement_id"] for row in fresh}
    shared: dict[str, dict[str, Row]] = {}
    for line in lines:
        if line["statement_id"] not in mine:
            for row in by_item.get((line["invoice_key"], line["instalment"] or 1), ()):
                shared.setdefault(line["statement_id"], {})[row["statement_id"]] = row
    # `is true`, so that no planner begins with the index of all closed statements
    closed = "(status = 'closed' and not do_not_send) is true"
    columns = ("statement_id", "kind", "currency", "legal_entity")
    rows = read_many(
        connection, statements, columns, key="statement_id", values=sorted(shared), where=closed,
        order_by="statement_id", lock=lock,
    )  # fmt: skip
    return [(row, list(shared[row["statement_id"]].values())) for row in rows]


def _items(details: Sequence[Row]) -> set[Item]:
    return {(row["invoice_key"], row["instalment"] or 1) for row in details if row["type"] == "invoice"}


def _same_case(new: Row, old: Row) -> bool:
    return all(new[name] == old[name] for name in ("kind", "currency", "legal_entity"))


def _last_date(fresh: Sequence[Row], now: datetime) -> Any:
    return max((row["dunning_date"] for row in fresh), default=now.date())
