"""What people decided about pairs of records: must-links and cannot-links of the ledger, applied before any rule."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, func, insert, select, update

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
    """Record one verdict in a transaction of its own; see Verdicts.decide."""
    with ledger.begin() as connection:
        return Verdicts(connection, reason=reason, actor=actor, at=at).decide(kind, verdict, left, right)


class Verdicts:
    """What one person says about pairs of records, in the caller's transaction.

    The standing decisions are read once, so that each of thousands of verdicts costs as much as the first.
    """

    def __init__(self, connection: Connection, *, reason: str | None, actor: str, at: datetime) -> None:
        self._connection, self._reason, self._actor, self._at = connection, reason, actor, at
        self._standing: dict[str, _Standing] = {}
        self._taken_back: dict[tuple[str, str, str], datetime] = {}  # kind and pair → when it was last

    def decide(self, kind: str, verdict: str, left: str, right: str) -> str:
        """Record that two source records are, or are not, the same party; an earlier verdict on them is withdrawn.

        Returns the decision's id. Raises InvalidInput for an unknown verdict or a record paired with itself, Refused
        for a verdict that other decisions contradict: who is one with whom is decided for all of them, or for none.
        """
        if verdict not in VERDICTS:
            raise InvalidInput("unknown verdict", value=verdict, remedy="write must_link or cannot_link")
        if left == right:
            raise InvalidInput("a record cannot be decided against itself", value=left, remedy="name two records")
        left, right = sorted((left, right))
        if kind not in self._standing:
            self._standing[kind] = _Standing(self._rows(kind))
        standing = self._standing[kind]
        own = standing.rows.get((left, right))
        if own and own.verdict == verdict:
            return own.decision_id
        if own:
            # groups cannot be parted again, so they are made anew; only who changes their mind pays for it
            standing = _Standing(row for row in standing.rows.values() if row is not own)
        _refuse_contradiction(standing, verdict, left, right)
        at = _after(self._taken_back.get((kind, left, right)), self._at)
        said = f"{kind}|{left}|{right}|{at.isoformat()}" + (f"|{own.decision_id}" if own else "")
        decision = _Decision(hashlib.sha256(said.encode()).hexdigest()[:16], verdict, left, right, at)
        self._write(kind, decision, own)
        standing.add(decision)
        self._standing[kind] = standing
        return decision.decision_id

    def _rows(self, kind: str) -> Iterator["_Decision"]:
        table = identity_decisions
        query = select(*(table.c[name] for name in (*_Decision._fields, "withdrawn_at"))).where(table.c.kind == kind)
        for *said, withdrawn_at in self._connection.execute(query.order_by(table.c.decided_at, table.c.decision_id)):
            decision = _Decision(*said)
            if withdrawn_at is None:
                yield decision
            else:
                pair = (kind, decision.left_record, decision.right_record)
                self._taken_back[pair] = max(withdrawn_at, self._taken_back.get(pair, withdrawn_at))

    def _write(self, kind: str, decision: "_Decision", earlier: "_Decision | None") -> None:
        table = identity_decisions
        if earlier is not None:
            self._connection.execute(
                update(table).where(table.c.decision_id == earlier.decision_id).values(withdrawn_at=decision.decided_at)
            )
            self._taken_back[kind, decision.left_record, decision.right_record] = decision.decided_at
        by = {"decided_by": self._actor, "reason": self._reason, "withdrawn_at": None}
        self._connection.execute(insert(table).values(kind=kind, **decision._asdict(), **by))
        decision_id, verdict, left, right, at = decision
        _audit(self._connection, self._actor, decision_id, verdict, left, right, self._reason, at)


def withdraw_decision(ledger: Engine, decision_id: str, *, reason: str | None, actor: str, at: datetime) -> None:
    """Take a decision back: from the next build on the rules say again what the two records are.

    Raises NotThere where no standing decision has this id.
    """
    table = identity_decisions
    with ledger.begin() as connection:
        standing = (table.c.decision_id == decision_id) & table.c.withdrawn_at.is_(None)
        row = connection.execute(select(table).where(standing).with_for_update()).first()
        if row is None:
            raise NotThere(
                "no standing decision has this id", value=decision_id, remedy="`dunning profile decisions` lists them"
            )
        pair = (table.c[name] == row._mapping[name] for name in ("kind", "left_record", "right_record"))
        at = _after(connection.scalar(select(func.max(table.c.withdrawn_at)).where(*pair)), at)
        connection.execute(update(table).where(standing).values(withdrawn_at=at))
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


class _Decision(NamedTuple):
    decision_id: str
    verdict: str
    left_record: str
    right_record: str
    decided_at: datetime


class _Standing:
    """Standing decisions of one kind: must-links join whole groups, a cannot-link keeps two groups apart."""

    def __init__(self, decisions: Iterable[_Decision]) -> None:
        self.rows: dict[tuple[str, str], _Decision] = {}
        self.groups = Groups(())
        self.numbers: dict[str, int] = {}
        self.apart: dict[int, list[_Decision]] = {}  # root of a group → its cannot-links
        for decision in decisions:
            self.add(decision)

    def root(self, record: str) -> int:
        number = self.numbers.setdefault(record, len(self.numbers))
        self.groups.parent.setdefault(number, number)
        return self.groups.root(number)

    def add(self, decision: _Decision) -> None:
        self.rows[decision.left_record, decision.right_record] = decision
        roots = self.root(decision.left_record), self.root(decision.right_record)
        if decision.verdict == "cannot_link":
            for root in set(roots):
                self.apart.setdefault(root, []).append(decision)
        elif roots[0] != roots[1]:
            few, many = sorted((self.apart.pop(root, []) for root in roots), key=len)
            many.extend(few)  # the few to the many: no cannot-link moves often
            self.apart[self.groups.join(*roots)] = many

    def between(self, left: str, right: str) -> list[_Decision]:
        """Cannot-links between the groups of two records."""
        roots = {self.root(left), self.root(right)}
        few = min((self.apart.get(root, []) for root in roots), key=len)
        return [row for row in few if {self.root(row.left_record), self.root(row.right_record)} == roots]

    def within(self, left: str, right: str) -> list[_Decision]:
        """Must-links of the group that has both records."""
        root = self.root(left)
        if root != self.root(right):
            return []
        return [row for row in self.rows.values() if row.verdict == "must_link" and self.root(row.left_record) == root]


def _refuse_contradiction(standing: _Standing, verdict: str, left: str, right: str) -> None:
    against = standing.within(left, right) if verdict == "cannot_link" else standing.between(left, right)
    if against:
        against.sort(key=lambda row: (row.decided_at, row.decision_id))
        said = "; ".join(
            f"{row.decision_id}: {row.left_record} {'=' if row.verdict == 'must_link' else '≠'} {row.right_record}"
            for row in against[:10]
        )
        raise Refused(
            f"other decisions say the contrary: {said}",
            remedy="`dunning profile withdraw DECISION` takes one of them back",
        )


def _after(last: datetime | None, at: datetime) -> datetime:
    """`at`, or just after a pair was last taken back: a test clock stands still, and its acts follow each other."""
    return at if last is None or last < at else last + timedelta(microseconds=1)


def _audit(
    connection: Any, actor: str, decision_id: str, verdict: str, left: str, right: str, reason: str | None, at: datetime
) -> None:
    from dunning_pipeline.ledger.audit import record

    record(
        connection, actor=actor, action=f"identity.{verdict}", object_kind="identity_decision", object_id=decision_id,
        after={"left": left, "right": right, "verdict": verdict}, reason=reason, at=at,
    )  # fmt: skip
