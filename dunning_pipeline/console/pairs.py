"""Pairs of records: those that wait for a person, what people decided of pairs and what they took back; of records that
the desk's user may see."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
from sqlalchemy import func, or_, select

from dunning_pipeline.console import published
from dunning_pipeline.console.desk import Desk, as_rows
from dunning_pipeline.console.listing import PAGE_SIZE
from dunning_pipeline.console.scope import account_keys, one_of
from dunning_pipeline.identity.reviewing import with_sides
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import audit, identity_decisions

KINDS = ("account", "individual")
Decisions = Sequence[Mapping[str, Any]]  # the standing ones, as `identity.decisions.list_decisions` reads them


@dataclass(frozen=True)
class Waiting:
    """One page of the pairs that wait for a person, how many there are, and the rules that would join some."""

    rows: list[dict[str, Any]]
    count: int
    rules: list[str]

    def has_more(self, page: int) -> bool:
        return self.count > page * PAGE_SIZE


# a suggestion waits until a person has decided of its pair; of a user with a scope both of its records are seen
_WAITING = """
    from identity.suggestions as pairs
    anti join (select unnest($kinds::varchar[]) as party_kind, unnest($lefts::varchar[]) as left_record,
        unnest($rights::varchar[]) as right_record) as decided using (party_kind, left_record, right_record)
    {seen}
    where coalesce($kind, party_kind) = party_kind and ($about is null or $about in (left_id, right_id))
"""
_SEEN = """
    semi join seen as mine on mine.kind = party_kind and mine.record_key = left_record
    semi join seen as theirs on theirs.kind = party_kind and theirs.record_key = right_record
"""
_MINE = " union all ".join(
    f"select '{kind}' as kind, record_key from identity.{kind}_links"
    " where account_key in (select account_key from data_model.accounts where owner = $owner)"
    for kind in KINDS
)


def waiting(
    desk: Desk,
    con: duckdb.DuckDBPyConnection,
    decided: Decisions,
    *,
    kind: str | None,
    rule: str = "",
    about: str | None = None,
    page: int = 1,
) -> Waiting:
    """The pairs of a kind (both without one), a rule and a profile, the most certain first: see `waiting_pairs`, which
    reads all of them. Cut to a page where they are stored: there may be hundreds of thousands."""
    columns = "kind", "left_record", "right_record"
    kinds, lefts, rights = ([row[column] for row in decided] for column in columns)
    given: dict[str, Any] = {"kinds": kinds, "lefts": lefts, "rights": rights, "kind": kind, "about": about}
    scoped = desk.user.row_scope is not None
    if scoped:
        given["owner"] = desk.user.row_scope
    with_seen = f"with seen as ({_MINE}) " if scoped else ""
    source = _WAITING.format(seen=_SEEN if scoped else "")
    counts = dict(con.execute(f"{with_seen}select rule, count(*) {source} group by rule", given).fetchall())
    cut = {"rule": rule or None, "most": PAGE_SIZE, "before": (page - 1) * PAGE_SIZE}
    cursor = con.execute(
        f"{with_seen}select pairs.* {source} and coalesce($rule, rule) = rule"
        " order by confidence desc, suggestion_id limit $most offset $before",
        given | cut,
    )
    names = [column[0] for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    count = counts.get(rule, 0) if rule else sum(counts.values())
    return Waiting(with_sides(con, rows), count, sorted(counts))


def standing(desk: Desk, con: duckdb.DuckDBPyConnection, decided: Decisions) -> list[dict[str, Any]]:
    """Those of the decisions whose records the desk's user may see; `waits` where the snapshot is older."""
    build = published.first(desk.workspace, "select published_at from snapshot")
    built = datetime.fromisoformat(build["published_at"]).replace(tzinfo=UTC) if build else None
    rows = seen_pairs(desk, con, decided, kind="kind")
    return [{**row, "waits": built is not None and row["decided_at"] >= built} for row in rows]


def taken_back(desk: Desk, con: duckdb.DuckDBPyConnection, kind: str, records: Collection[str]) -> list[dict[str, Any]]:
    """The newest page of what was decided about some of the records and does not stand any more: by whom it was taken
    back, in so many words or by deciding the contrary. A decision that followed a record to another key stands on."""
    d, trail, after = identity_decisions.c, audit.c, identity_decisions.alias()
    names = ("kind", "verdict", "left_record", "right_record", "reason", "decided_by", "decided_at", "withdrawn_at")
    contrary = (
        select(func.min(after.c.decided_by))
        .where(*(after.c[name] == d[name] for name in ("kind", "left_record", "right_record")))
        .where(after.c.decided_at == d.withdrawn_at, after.c.decision_id != d.decision_id)
        .scalar_subquery()
    )
    back = (trail.object_id == d.decision_id) & (trail.action == "identity.withdraw")
    by = func.coalesce(trail.actor, contrary)
    query = (
        select(*(d[name] for name in names), by.label("withdrawn_by"), trail.reason.label("withdrawn_for"))
        .select_from(identity_decisions.outerjoin(audit, back))
        .where(d.kind == kind, d.withdrawn_at.is_not(None), by.is_not(None))
        .where(or_(*(one_of(desk, d[side], list(records)) for side in ("left_record", "right_record"))))
        .order_by(d.withdrawn_at.desc(), d.decision_id)
        .limit(PAGE_SIZE)
    )
    with reading(desk.engine) as connection:
        rows = as_rows(connection.execute(query))
    return seen_pairs(desk, con, rows, kind="kind")


def seen_of_profile(desk: Desk, con: duckdb.DuckDBPyConnection, kind: str, unified_id: str) -> dict[str, str | None]:
    """Record → account of those records of a profile that the desk's user may see."""
    return _seen(desk, con, kind, f"unified_{kind}_id = ?", unified_id)


def seen_pairs(
    desk: Desk, con: duckdb.DuckDBPyConnection, rows: Iterable[Mapping[str, Any]], *, kind: str = "party_kind"
) -> list[dict[str, Any]]:
    """Those of the pairs of which the desk's user may see both records; `kind` is the column that names theirs."""
    pairs = [dict(row) for row in rows]
    if desk.user.row_scope is None:
        return pairs
    sides = ("left_record", "right_record")
    seen = {
        one: _seen_records(desk, con, one, {row[side] for row in pairs if row[kind] == one for side in sides})
        for one in {row[kind] for row in pairs} & set(KINDS)
    }
    return [row for row in pairs if all(row[side] in seen.get(row[kind], ()) for side in sides)]


def _seen_records(desk: Desk, con: duckdb.DuckDBPyConnection, kind: str, keys: Collection[str]) -> Collection[str]:
    return _seen(desk, con, kind, "record_key in (select unnest(?))", list(keys))


def _seen(desk: Desk, con: duckdb.DuckDBPyConnection, kind: str, condition: str, value: Any) -> dict[str, str | None]:
    sql = f"select record_key, account_key from identity.{kind}_links where {condition} order by record_key"
    records = dict(con.execute(sql, [value]).fetchall())
    if desk.user.row_scope is None:
        return records
    mine = frozenset(account_keys(desk))
    return {record: account for record, account in records.items() if account in mine}
