"""The audit trail: who did what to which object, before and after; append-only."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from dunning_pipeline.ledger.schema import audit


def record(
    connection: Connection,
    *,
    actor: str,
    action: str,
    object_kind: str,
    object_id: str,
    before: Any = None,
    after: Any = None,
    reason: str | None = None,
    at: datetime,
) -> str:
    """Write one audit row in the caller's transaction; `at` is the business instant, the wall clock stands beside."""
    audit_id = uuid4().hex
    connection.execute(
        audit.insert().values(
            audit_id=audit_id,
            at=datetime.now(UTC),
            business_at=at,
            actor=actor,
            action=action,
            object_kind=object_kind,
            object_id=object_id,
            before=before,
            after=after,
            reason=reason,
        )
    )
    return audit_id
