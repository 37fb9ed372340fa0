"""The review list as a person works it off: the pairs that wait, with both records, and labels taken as decisions."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
from sqlalchemy import Engine

from dunning_pipeline.errors import DunningError, InvalidInput
from dunning_pipeline.identity.decisions import Verdicts
from dunning_pipeline.identity.steps.records import KINDS
from dunning_pipeline.identity.validation import is_same, sides_of


@dataclass
class Taken:
    """What became of a file of labels: decision ids, lines without a label, and line → why it was refused."""

    decided: list[str] = field(default_factory=list)
    unlabelled: int = 0
    refused: dict[int, str] = field(default_factory=dict)


def waiting_pairs(
    con: duckdb.DuckDBPyConnection,
    decided: Collection[tuple[str, str, str]],
    *,
    kind: str | None,
    rule: str | None,
    about: str | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """Suggestions of the snapshot, the most certain first, without those of (kind, left, right) that a person has
    decided since its build; and how many these are. `about` is the unified id of one side. Raises InvalidInput for a
    rule that no ruleset has."""
    kinds = [kind] if kind else list(KINDS)
    rules = {name for one in kinds for (name,) in con.execute(f"select rule from identity.{one}_rules").fetchall()}
    if rule is not None and rule not in rules:
        raise InvalidInput("no rule has this name", value=rule, remedy=f"name one of {', '.join(sorted(rules))}")
    cursor = con.execute(
        "select suggestion_id, party_kind, rule, tier, confidence, reason, left_record, right_record, left_id,"
        " right_id, shared_values from identity.suggestions"
        " where list_contains(?, party_kind) and rule = coalesce(?, rule)"
        " and (? is null or ? in (left_id, right_id)) order by confidence desc, suggestion_id",
        [kinds, rule, about, about],
    )
    columns = [column[0] for column in cursor.description or ()]
    rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    waiting = [row for row in rows if (row["party_kind"], row["left_record"], row["right_record"]) not in decided]
    return waiting, len(rows) - len(waiting)


def with_sides(con: duckdb.DuckDBPyConnection, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The pairs with `left` and `right`, the fields of both records, and an empty `same` for a person's label."""
    rows = list(rows)
    told: dict[str, dict[str, str]] = {}
    for kind in KINDS:
        keys = {row[side] for row in rows if row["party_kind"] == kind for side in ("left_record", "right_record")}
        told[kind] = sides_of(con, kind, keys)
    return [
        {
            **row,
            "left": told[row["party_kind"]].get(row["left_record"], ""),
            "right": told[row["party_kind"]].get(row["right_record"], ""),
            "same": "",
        }
        for row in rows
    ]


def known_records(con: duckdb.DuckDBPyConnection, keys: Collection[str]) -> set[tuple[str, str]]:
    """(kind, record key) of those of the keys that the snapshot's profiles have."""
    known = "select record_key from identity.{}_links where record_key in (select unnest(?))"
    return {(kind, key) for kind in KINDS for (key,) in con.execute(known.format(kind), [list(keys)]).fetchall()}


def take_labels(
    con: duckdb.DuckDBPyConnection,
    ledger: Engine,
    rows: Iterable[Mapping[str, Any]],
    *,
    kind: str | None,
    reason: str | None,
    actor: str,
    at: datetime,
) -> Taken:
    """Decide each labelled pair as its label says; `kind` is of pairs whose row has no `party_kind`.

    A pair that cannot be decided (no such record, other decisions say the contrary) stops no other. Before anything is
    decided, raises InvalidInput for a label that is neither yes nor no, and for a pair of which nobody says the kind.
    """
    labels = [(row, is_same(row.get("same"), line=row["line"]), row.get("party_kind") or kind) for row in rows]
    for row, same, of in labels:
        if same is not None and of not in KINDS:
            raise InvalidInput("of which kind is this pair?", line=row["line"], remedy="say it with --kind")
    keys = {row[side] for row, *_ in labels for side in ("left_record", "right_record")}
    there = known_records(con, keys)
    taken = Taken()
    said: dict[tuple[str, frozenset[str]], tuple[bool, int]] = {}
    with ledger.begin() as connection:
        verdicts = Verdicts(connection, reason=reason, actor=actor, at=at)
        for row, same, of in labels:
            left, right = row["left_record"], row["right_record"]
            if same is None:
                taken.unlabelled += 1
                continue
            before, line = said.setdefault((str(of), frozenset((left, right))), (same, row["line"]))
            if gone := [key for key in (left, right) if (of, key) not in there]:
                taken.refused[row["line"]] = f"no {of} record has the id {gone[0]}"
            elif before != same:
                taken.refused[row["line"]] = f"line {line} says the contrary"
            else:
                try:
                    verdict = "must_link" if same else "cannot_link"
                    taken.decided.append(verdicts.decide(str(of), verdict, left, right))
                except DunningError as error:
                    taken.refused[row["line"]] = str(error)
    return taken
