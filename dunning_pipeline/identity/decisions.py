"""What people decided about pairs of records: must-links and cannot-links of the ledger, applied before any rule."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, insert, select, update

from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.identity.constraints import Groups
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

    Returns the decision's id. Raises InvalidInput for an unknown verdict or a record paired with itself, Refused for a
    verdict that other decisions contradict: who is one with whom is decided for all of them, or for none.
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
        _refuse_contradiction(connection, kind, verdict, left, right)
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


def withdraw_decision(ledger: Engine, decision_id: str, *, reason: str | None, actor: str, at: datetime) -> None:
    """Take a decision back: from the next build on the rules say again what the two records are.

    Raises NotThere where no standing decision has this id.
    """
    table = identity_decisions
    with ledger.begin() as connection:
        row = connection.execute(
            update(table).where(table.c.decision_id == decision_id, table.c.withdrawn_at.is_(None))
            .values(withdrawn_at=at).returning(table.c.left_record, table.c.right_record, table.c.verdict)
        ).first()  # fmt: skip
        if row is None:
            raise NotThere(
                "no standing decision has this id", value=decision_id, remedy="`dunning profile decisions` lists them"
            )
        _audit(connection, actor, decision_id, "withdraw", row.left_record, row.right_record, reason, at)


def list_decisions(ledger: Engine) -> list[dict[str, Any]]:
    """The standing decisions, the newest first: decision_id, kind, verdict, both records, reason, by whom and when."""
    table = identity_decisions
    names = ("decision_id", "kind", "verdict", "left_record", "right_record", "reason", "decided_by", "decided_at")
    query = (
        select(*(table.c[name] for name in names))
        .where(table.c.withdrawn_at.is_(None))
        .order_by(table.c.decided_at.desc(), table.c.decision_id)
    )
    with ledger.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def follow_renamed(ledger: Engine, kind: str, renamed: Mapping[str, str], *, at: datetime) -> None:
    """Standing decisions about records that have another key now (old key → new key), said of the new ones."""
    table = identity_decisions
    query = select(table).where(table.c.kind == kind, table.c.withdrawn_at.is_(None)).order_by(table.c.decision_id)
    with ledger.begin() as connection:
        rows = connection.execute(query).mappings().all()
        decided = {(row["left_record"], row["right_record"]) for row in rows}
        for row in rows:
            old = (row["left_record"], row["right_record"])
            left, right = sorted(renamed.get(key, key) for key in old)
            if (left, right) == old or left == right:
                continue
            decision_id = hashlib.sha256(f"{row['decision_id']}|{left}|{right}".encode()).hexdigest()[:16]
            connection.execute(update(table).where(table.c.decision_id == row["decision_id"]).values(withdrawn_at=at))
            if (left, right) in decided:
                continue  # somebody decided about the new keys already
            moved = {"decision_id": decision_id, "left_record": left, "right_record": right}
            connection.execute(insert(table).values({**row, **moved}))
            reason = f"{' and '.join(old)} have other keys now"
            _audit(connection, "build", decision_id, row["verdict"], left, right, reason, at)


def _refuse_contradiction(connection: Any, kind: str, verdict: str, left: str, right: str) -> None:
    """Must-links join whole groups; a cannot-link keeps the groups of its two records apart."""
    table = identity_decisions
    rows = connection.execute(
        select(table.c.decision_id, table.c.verdict, table.c.left_record, table.c.right_record)
        .where(table.c.kind == kind, table.c.withdrawn_at.is_(None))
        .order_by(table.c.decided_at, table.c.decision_id)
    ).all()
    others = [row for row in rows if (row.left_record, row.right_record) != (left, right)]
    number = {key: at for at, key in enumerate(sorted({left, right, *(k for row in others for k in row[2:])}))}
    groups = Groups(number.values())
    same = [row for row in others if row.verdict == "must_link"]
    for row in same:
        groups.join(number[row.left_record], number[row.right_record])
    mine = {groups.root(number[left]), groups.root(number[right])}
    if verdict == "cannot_link":
        against = [row for row in same if groups.root(number[row.left_record]) in mine] if len(mine) == 1 else []
    else:
        against = [
            row for row in others if row.verdict == "cannot_link"
            and {groups.root(number[row.left_record]), groups.root(number[row.right_record])} == mine
        ]  # fmt: skip
    if against:
        said = "; ".join(
            f"{row.decision_id}: {row.left_record} {'=' if row.verdict == 'must_link' else '≠'} {row.right_record}"
            for row in against[:10]
        )
        raise Refused(
            f"other decisions say the contrary: {said}",
            remedy="`dunning profile withdraw DECISION` takes one of them back",
        )


def _audit(
    connection: Any, actor: str, decision_id: str, verdict: str, left: str, right: str, reason: str | None, at: datetime
) -> None:
    from dunning_pipeline.ledger.audit import record

    record(
        connection, actor=actor, action=f"identity.{verdict}", object_kind="identity_decision", object_id=decision_id,
        after={"left": left, "right": right, "verdict": verdict}, reason=reason, at=at,
    )  # fmt: skip
