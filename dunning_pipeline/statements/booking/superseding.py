"""A newly closed statement replaces older ones of its unit that were closed and never left; their postings go back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.bulk import chunks, read_many
from dunning_pipeline.ledger.reading import details_of
from dunning_pipeline.ledger.schema import item_levels, sends, statements
from dunning_pipeline.statements.booking.posting import reverse_postings
from dunning_pipeline.statements.drafting.drafts import audit_many

Row = Mapping[str, Any]
WAITING = ("queued", "held")
_UNDER_WAY = ("in_flight", "unknown", "sent")


def supersede_unsent(
    connection: Connection,
    fresh: Sequence[Row],
    details: Mapping[str, Sequence[Row]],
    *,
    now: datetime,
    actor: str,
) -> list[str]:
    """Supersede what the `fresh` statements (about to be closed) replace; ids of the superseded ones.

    Replaced is a closed statement of the same kind that lists one of their items and has not left: no send of it is
    sent, under way or of unknown outcome, and no level counts by it. Its waiting sends become superseded.
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
    left: set[str] = set()
    for chunk in chunks(statement_ids, 900):
        left |= set(
            connection.scalars(
                select(sends.c.statement_id).where(
                    sends.c.statement_id.in_(chunk), sends.c.status.in_(_UNDER_WAY), sends.c.kind != "draft"
                )
            )
        )
        left |= set(connection.scalars(select(item_levels.c.statement_id).where(item_levels.c.statement_id.in_(chunk))))
    return left


def refuse_if_under_way(connection: Connection, statement_id: str) -> None:
    """Raise Refused while a send of the statement is on the wire: nobody knows yet whether it left."""
    busy = connection.scalar(
        select(sends.c.send_key).where(sends.c.statement_id == statement_id, sends.c.status == "in_flight")
    )
    if busy is not None:
        raise Refused("a message of this statement is being sent right now", value=busy, remedy="try again in a minute")


def _replaced_by(connection: Connection, fresh: Sequence[Row], details: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """Old statement id → new one. Only what shares an item: statements of other levels of the unit stand beside it."""
    by_unit: dict[str, list[Row]] = {}
    for row in fresh:
        by_unit.setdefault(row["unit_key"], []).append(row)
    columns = ("statement_id", "unit_key", "kind", "currency", "legal_entity")
    # `is true`, so that no planner begins with the index of all closed statements
    closed = "(status = 'closed' and not do_not_send) is true"
    older = read_many(
        connection, statements, columns, key="unit_key", values=list(by_unit), where=closed,
        order_by="statement_id", lock=True,
    )  # fmt: skip
    mine = {row["statement_id"] for row in fresh}
    older = [row for row in older if row["statement_id"] not in mine]
    left = has_left(connection, [row["statement_id"] for row in older])
    listed = details_of(connection, [row["statement_id"] for row in older])
    found: dict[str, str] = {}
    for row in older:
        for new in by_unit[row["unit_key"]]:
            shared = _items(listed.get(row["statement_id"], ())) & _items(details.get(new["statement_id"], ()))
            if shared and row["statement_id"] not in left and _same_case(new, row):
                found[row["statement_id"]] = new["statement_id"]
    return found


def _items(details: Sequence[Row]) -> set[tuple[str, int]]:
    return {(row["invoice_key"], row["instalment"] or 1) for row in details if row["type"] == "invoice"}


def _same_case(new: Row, old: Row) -> bool:
    return all(new[name] == old[name] for name in ("kind", "currency", "legal_entity"))


def _last_date(fresh: Sequence[Row], now: datetime) -> Any:
    return max((row["dunning_date"] for row in fresh), default=now.date())
