"""Findings: what a person should look at, raised once per object while it is open."""

from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import Connection, select, update

from dunning_pipeline.ledger.bulk import insert_unless_there
from dunning_pipeline.ledger.schema import findings

Severity = Literal["info", "warning", "error"]


def raise_finding(
    connection: Connection,
    *,
    kind: str,
    object_kind: str,
    object_id: str,
    severity: Severity,
    message: str,
    detail: Any = None,
    at: datetime,
) -> str:
    """Open a finding, or refresh the one that is there (same kind and object); the finding's id.

    A finding that was done is opened again when its cause is seen again.
    """
    key = f"{kind}:{object_kind}:{object_id}"
    said = {"severity": severity, "message": message, "detail": detail, "seen_at": at}
    about = {"kind": kind, "object_kind": object_kind, "object_id": object_id}
    fresh = {"finding_id": uuid4().hex, "finding_key": key, "status": "open", "raised_at": at, **about, **said}
    if insert_unless_there(connection, findings, [fresh]):
        return str(fresh["finding_id"])
    known = connection.execute(
        select(findings.c.finding_id, findings.c.status).where(findings.c.finding_key == key)
    ).one()
    if known.status == "done":
        said |= {"status": "open", "raised_at": at, "done_at": None, "done_by": None}
    connection.execute(update(findings).where(findings.c.finding_id == known.finding_id).values(**said))
    return known.finding_id


def resolve_findings_of(connection: Connection, *, kind: str, object_id: str, by: str, at: datetime) -> int:
    """Mark the open findings of a kind about one object as done, because their cause is gone; how many."""
    return connection.execute(
        update(findings)
        .where(findings.c.kind == kind, findings.c.object_id == object_id, findings.c.status == "open")
        .values(status="done", done_at=at, done_by=by)
    ).rowcount
