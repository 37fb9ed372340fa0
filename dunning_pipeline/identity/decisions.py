"""What people decided about pairs of records: must-links and cannot-links of the ledger, applied before any rule."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, insert, select, update

from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger.schema import identity_decisions

VERDICTS = ("must_link", "cannot_link")


def standing_decisions(ledger: Engine, kind: str) -> list[tuple[str, str, str, str]]:
    """(verdict, left record key, right record key, decision id) of the decisions of one kind that were not withdrawn."""
    table = identity_decisions
    query = (
        select(table.c.verdict, table.c.left_record, table.c.right_record, table.c.decision_id)
        .where(table.c.kind == kind, table.c.withdrawn_at.is_(None))
        .order_by(table.c.decided_at, table.c.decision_id)
    )
    with ledger.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def decide_pair(
    ledger: Engine, *, kind: str, verdict: str, left: str, right: str, reason: str | None, actor: str, at: datetime
) -> str:
    """Record that two source records are, or are not, the same party; an earlier verdict on the pair is withdrawn.

    Returns the decision's id. Raises InvalidInput for an unknown verdict or a record paired with itself.
    """
    if verdict not in VERDICTS:
        raise InvalidInput("unknown verdict", value=verdict, remedy="write must_link or cannot_link")
    if left == right:
        raise InvalidInput("a record cannot be decided against itself", value=left, remedy="name two records")
    left, right = sorted((left, right))
    table = identity_decisions
    pair = (table.c.kind == kind, table.c.left_record == left, table.c.right_record == right)
    decision_id = hashlib.sha256(f"{kind}|{left}|{right}|{at.isoformat()}".encode()).hexdigest()[:16]
    with ledger.begin() as connection:
        standing = connection.execute(
            select(table.c.decision_id, table.c.verdict).where(*pair, table.c.withdrawn_at.is_(None))
        ).first()
        if standing and standing.verdict == verdict:
            return str(standing.decision_id)
        connection.execute(update(table).where(*pair, table.c.withdrawn_at.is_(None)).values(withdrawn_at=at))
        connection.execute(
            insert(table).values(
                decision_id=decision_id,
                kind=kind,
                verdict=verdict,
                left_record=left,
                right_record=right,
                reason=reason,
                decided_at=at,
                decided_by=actor,
                withdrawn_at=None,
            )
        )
        _audit(connection, actor, decision_id, verdict, left, right, reason, at)
    return decision_id


def _audit(
    connection: Any, actor: str, decision_id: str, verdict: str, left: str, right: str, reason: str | None, at: datetime
) -> None:
    from dunning_pipeline.ledger.audit import record

    record(
        connection, actor=actor, action=f"identity.{verdict}", object_kind="identity_decision", object_id=decision_id,
        after={"left": left, "right": right, "verdict": verdict}, reason=reason, at=at,
    )  # fmt: skip
