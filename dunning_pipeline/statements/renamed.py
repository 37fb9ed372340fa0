"""A person's word on what a source calls something else now, where the build could not be sure (`dunning renamed`)."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select, update

from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.findings import resolve_findings_of
from dunning_pipeline.ledger.identifiers import new_id
from dunning_pipeline.ledger.naming import ASKED, FINDING
from dunning_pipeline.ledger.schema import (
    assignments,
    blocks,
    postponements,
    promises,
    renamed_keys,
    statement_details,
    statements,
)
from dunning_pipeline.statements.targets import Target

_STATED = {
    "account": (statements, statements.c.account_key, statements.c.account_id),
    "bill_group": (statements, statements.c.bill_group_key, statements.c.bill_group_id),
    "invoice": (statement_details, statement_details.c.invoice_key, statement_details.c.invoice_id),
}
_RECORDED = {
    "account": (promises.c.account_key, assignments.c.account_key),
    "bill_group": (assignments.c.bill_group_key,),
    "invoice": (promises.c.invoice_key, postponements.c.invoice_key),
}


def say_was(connection: Connection, target: Target, was: str, *, reason: str, actor: str, now: datetime) -> str:
    """From the next build on the target is what the ledger knows as `was` (key or id); that key.

    Raises NotThere where the ledger knows no such thing, Refused where it knows the target by its own name already.
    """
    _needs_reason(reason)
    old, named = _known(connection, target.kind, was), _name(connection, target)
    if old is None:
        raise NotThere(
            f"nothing was ever said or recorded about {was!r}", remedy="name it by its key or id; see the finding"
        )
    if old in (named, target.key):
        raise Refused(f"{target.key} is known as that already", value=was)
    if _is_stated(connection, target.kind, named):
        raise Refused(
            "it was reminded under its own name already, and keeps what was said so far",
            value=named,
            remedy="block what is asked twice, or void the statement that should not have been",
        )
    return _record(connection, target.kind, named, old, reason=reason, actor=actor, now=now)


def say_new(connection: Connection, target: Target, *, reason: str, actor: str, now: datetime) -> str:
    """The target is none that was known before, whatever it looks like; the key that it has from the next build on.

    Raises Refused where nobody asks about it and it is known by its own name.
    """
    _needs_reason(reason)
    named = _name(connection, target)
    asked = select(blocks.c.block_id).where(blocks.c.scope == target.kind, blocks.c.target_key == target.key, ASKED)
    questions = connection.scalars(asked).all()
    if named != target.key:
        key = named
    elif not questions:
        raise Refused("nothing is asked about it, and it is known by its own name", value=target.key)
    else:
        # an id that was another's before: the ledger's rows stay with that one
        key = f"{named}~{new_id()[:12]}" if _is_stated(connection, target.kind, named) else named
    if key == target.key:
        connection.execute(update(blocks).where(blocks.c.block_id.in_(questions)).values(ended_at=now, ended_by=actor))
        resolve_findings_of(connection, kind=FINDING, object_id=target.key, by=actor, at=now)
    return _record(connection, target.kind, named, key, reason=reason, actor=actor, now=now)


def list_renamed(connection: Connection) -> list[dict[str, Any]]:
    """What is known by another name than its source's, and what is asked about, newest first."""
    said = connection.execute(select(renamed_keys).order_by(renamed_keys.c.renamed_id.desc())).mappings().all()
    asked = select(blocks).where(ASKED)
    rows = [
        {"kind": row["scope"], "key": row["target_key"], "known_as": None, "since": row["created_at"],
         "by": row["created_by"], "reason": row["reason"]}
        for row in connection.execute(asked.order_by(blocks.c.created_at.desc())).mappings()
    ]  # fmt: skip
    newest = {(row["kind"], row["new_key"]): row for row in reversed(said)}
    return rows + [
        {"kind": row["kind"], "key": row["new_key"], "known_as": row["old_key"], "since": row["noticed_at"],
         "by": row["noticed_by"], "reason": row["reason"]}
        for row in said
        if newest[row["kind"], row["new_key"]] is row
    ]  # fmt: skip


def _name(connection: Connection, target: Target) -> str:
    """What its source calls the target now, `source:id`."""
    r = renamed_keys.c
    query = select(r.new_key).where(r.kind == target.kind, r.old_key == target.key).order_by(r.renamed_id.desc())
    return connection.scalar(query.limit(1)) or target.key


def _is_stated(connection: Connection, kind: str, key: str) -> bool:
    table, column, _ = _STATED[kind]
    return connection.scalar(select(column).select_from(table).where(column == key).limit(1)) is not None


def _known(connection: Connection, kind: str, text: str) -> str | None:
    """The key by which the ledger knows what is named by its key or the id that it had."""
    table, key, id_ = _STATED[kind]
    found = connection.scalar(select(key).select_from(table).where(or_(key == text, id_ == text)).limit(1))
    if found is not None:
        return str(found)
    blocked = select(blocks.c.target_key).where(blocks.c.scope == kind, blocks.c.target_key == text)
    queries = [*(select(column).where(column == text) for column in _RECORDED[kind]), blocked]
    return next((text for query in queries if connection.scalar(query.limit(1)) is not None), None)


def _record(connection: Connection, kind: str, named: str, key: str, *, reason: str, actor: str, now: datetime) -> str:
    row = {"kind": kind, "new_key": named, "old_key": key}
    connection.execute(
        renamed_keys.insert().values(renamed_id=new_id(), **row, reason=reason, noticed_at=now, noticed_by=actor)
    )
    audit.record(
        connection, actor=actor, action="renamed.say", object_kind=kind, object_id=named, after=row, reason=reason,
        at=now,
    )  # fmt: skip
    return key


def _needs_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidInput("a reason is needed", remedy="say why, with --reason")
