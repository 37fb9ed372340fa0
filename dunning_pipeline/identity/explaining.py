"""Why records are one profile: its members, the edges between them, and the shortest path between any two of them."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from dunning_pipeline.errors import NotThere

WORDS = {
    "decided": "a person decided that they are the same",
    "email": "same e-mail address",
    "phone": "same phone number",
    "mobile": "same mobile number",
    "address": "same postal address",
    "account": "same billing account",
    "birth": "same birth date",
    "tax": "same tax id",
    "vat": "same VAT id",
    "lei": "same LEI",
    "registry": "same registry number",
    "individual": "the contact names this individual",
    "domain": "same internet domain",
    "postal": "same postal code",
}


WHY_NOT = {  # the reason of a suggestion → what a person reads
    "tier": "it would join them, but its tier only suggests: see merge_tiers in policies/identity/",
    "constraint": "it would join them, but values that exclude each other are in the two profiles",
}


def find_profile(con: duckdb.DuckDBPyConnection, name: str, *, of: str | None = None) -> tuple[str, str]:
    """(kind, unified id) of a unified id, an id that was merged away, a record key, or a source's own record id; `of` is
    the only kind to look among.

    Raises NotThere for what is unknown, and for a source id that several sources use.
    """
    kinds = (of,) if of else ("account", "individual")
    for kind in kinds:
        moved = _rows(con, "select new_id from identity.id_redirects where party_kind = ? and old_id = ?", kind, name)
        unified_id = moved[0]["new_id"] if moved else name
        if _rows(con, f"select 1 as x from identity.{kind}_links where unified_{kind}_id = ? limit 1", unified_id):
            return kind, unified_id
    for column in ("record_key", "source_record_id"):
        found = [
            (kind, row["id"])
            for kind in kinds
            for row in _rows(
                con, f"select distinct unified_{kind}_id as id from identity.{kind}_links where {column} = ?", name
            )
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise NotThere(
                f"{name!r} is a record of several profiles: {', '.join(i for _, i in found)}", remedy="name one of them"
            )
    raise NotThere(
        "no profile and no source record has this id", value=name, remedy="list them with `dunning profile links`"
    )


def profile(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    """The reconciled fields, the source records, contact points and id history of one profile."""
    kind, unified_id = find_profile(con, name)
    column = f"unified_{kind}_id"
    fields = _rows(con, f"select * from identity.unified_{kind}s where {column} = ?", unified_id)[0]
    return {
        "kind": kind,
        **fields,
        "records": _rows(
            con,
            f"""select l.source, l.source_record_id, l.record_key, l.rule, l.tier, l.confidence, min(e.shared_values) as evidence
                from identity.{kind}_links as l
                left join (select * from identity.evidence where party_kind = '{kind}' and unified_id = ?) as e
                    on e.rule = l.rule and l.record_key in (e.left_record, e.right_record)
                where l.{column} = ? group by all order by l.record_key""", unified_id, unified_id,
        ),
        "contact_points": _rows(
            con,
            "select kind, value_normalised, value_as_written, record_key, is_role_mailbox from identity.contact_points"
            f" where {column} = ? and record_kind {'=' if kind == 'account' else '<>'} 'account' order by kind, record_key", unified_id,
        ),
        "events": _rows(
            con, "select run_id, event, old_id, new_id from identity.id_events where ? in (old_id, new_id) order by event_at", unified_id
        ),
    }  # fmt: skip


def explanation(
    con: duckdb.DuckDBPyConnection, name: str, other: str | None = None, *, of: str | None = None
) -> list[dict[str, Any]]:
    """The steps that hold a profile together, a spanning tree from its first record; with `other` (a record of the same
    profile) the shortest path from `name` to it; `of` is the kind of both. Each step: from, to, rule, tier, confidence,
    shared values, words.

    Raises NotThere where the two records are in different profiles: `differences` says why.
    """
    kind, unified_id = find_profile(con, name, of=of)
    edges = _rows(
        con,
        "select left_record, right_record, rule, tier, confidence, shared_values, names from identity.evidence"
        " where party_kind = ? and unified_id = ? order by strength, left_record, right_record, shared_values",
        kind, unified_id,
    )  # fmt: skip
    records = [
        row["record_key"]
        for row in _rows(
            con, f"select record_key from identity.{kind}_links where unified_{kind}_id = ? order by 1", unified_id
        )
    ]
    start = next((r for r in records if name in (r, r.split(":", 1)[-1])), records[0])
    tree = _tree(start, edges)
    if other is None:
        return list(tree.values())
    target = next((r for r in records if other in (r, r.split(":", 1)[-1])), None)
    if target is None:
        raise NotThere(
            f"{other!r} is not in the profile {unified_id} of {name!r}",
            remedy="name two records of one profile",
        )
    path: list[dict[str, Any]] = []
    while target != start and target in tree:
        path.append(tree[target])
        target = tree[target]["from"]
    return path[::-1]


def are_apart(con: duckdb.DuckDBPyConnection, name: str, other: str) -> bool:
    """Whether the two are in different profiles. Raises NotThere for what is unknown."""
    return find_profile(con, name) != find_profile(con, other)


def differences(
    con: duckdb.DuckDBPyConnection, name: str, other: str, decisions: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Why two records are not one profile: what people decided about records of the two, which rule would join them and
    why it did not, and their fields side by side. Rows: what, left, right, words.

    `decisions` are the standing ones. Raises NotThere for an unknown record.
    """
    (kind, left), (other_kind, right) = find_profile(con, name), find_profile(con, other)
    if kind != other_kind:
        return [{"what": "kind", "left": kind, "right": other_kind, "words": "an account and a person are never one"}]
    records = {
        side: {
            row["record_key"]
            for row in _rows(con, f"select record_key from identity.{kind}_links where unified_{kind}_id = ?", side)
        }
        for side in (left, right)
    }
    rows = [
        {"what": "decision", "left": one["left_record"], "right": one["right_record"],
         "words": f"a person decided that they are {'the same' if one['verdict'] == 'must_link' else 'different'}: {one['decision_id']}"}
        for one in decisions
        if one["kind"] == kind and all({one["left_record"], one["right_record"]} & side for side in records.values())
    ]  # fmt: skip
    suggestions = _rows(
        con,
        "select rule, tier, reason, left_record, right_record, shared_values from identity.suggestions where party_kind = ?"
        " and ((left_id = ? and right_id = ?) or (left_id = ? and right_id = ?)) order by confidence desc, suggestion_id",
        kind, left, right, right, left,
    )  # fmt: skip
    rows += [
        {"what": f"rule {one['rule']}", "left": one["left_record"], "right": one["right_record"],
         "words": f"{WHY_NOT.get(one['reason'], one['reason'])} ({(one['shared_values'] or '').replace('|', ', ')})"}
        for one in suggestions
    ]  # fmt: skip
    if not rows:
        rows.append({"what": "rules", "left": left, "right": right, "words": "no rule finds enough in common"})
    return rows + _fields_beside(con, kind, left, right)


def _fields_beside(con: duckdb.DuckDBPyConnection, kind: str, left: str, right: str) -> list[dict[str, Any]]:
    """Fields that at least one of the two has."""
    one, two = (
        _rows(con, f"select * from identity.unified_{kind}s where unified_{kind}_id = ?", side)[0]
        for side in (left, right)
    )
    shown = []
    for field in one:
        given = [side[field] for side in (one, two) if side[field] is not None]
        if given and field != f"unified_{kind}_id" and not field.endswith("_count"):
            same = str(given[0]).casefold() == str(given[-1]).casefold()
            words = "only one has it" if len(given) == 1 else "the same" if same else "different"
            shown.append({"what": field, "left": one[field], "right": two[field], "words": words})
    return shown


def _tree(start: str, edges: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """record → the step that reaches it, breadth first: paths are the shortest, the strongest rule among equals."""
    beside: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for edge in edges:
        beside[edge["left_record"]].append((edge["right_record"], edge))
        beside[edge["right_record"]].append((edge["left_record"], edge))
    reached: dict[str, dict[str, Any]] = {}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        for there, edge in beside[here]:
            if there != start and there not in reached:
                reached[there] = {
                    "from": here, "to": there, "rule": edge["rule"], "tier": edge["tier"], "confidence": edge["confidence"],
                    "shared_values": edge["shared_values"], "words": in_words(edge["rule"], edge["shared_values"], edge["names"]),
                }  # fmt: skip
                waiting.append(there)
    return reached


def shared_by(rule: str) -> list[str]:
    """What two records that this rule links have in common, a phrase each; none where its name does not tell."""
    return list(dict.fromkeys(WORDS[word] for word in rule.split("_") if word in WORDS))


def in_words(rule: str, shared_values: str | None, names: str) -> str:
    """One sentence for a person: what the two records share, and how their names agree."""
    if rule == "decided":
        return WORDS["decided"]
    shared = " and ".join(shared_by(rule)) or "same values"
    name = "the names are the same" if names == "same" else "the names are nearly the same"
    return f"{shared} ({(shared_values or '').replace('|', ', ')}), and {name}"


def _rows(con: duckdb.DuckDBPyConnection, sql: str, *values: Any) -> list[dict[str, Any]]:
    cursor = con.cursor().execute(sql, list(values))
    columns = [column[0] for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
