"""From rules to edges: records in one block (same identifiers) whose names are near; star edges where names are equal."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Iterator

from dunning_pipeline.identity.rulesets import MatchRule, Ruleset
from dunning_pipeline.identity.steps.names import name_predicate
from dunning_pipeline.identity.steps.step import WORK, Step, text

COMPARE_ALL_UP_TO = 60  # names in a block; above it only names under one deletion key are compared
PARTS = ("blocks", "names", "company", "neighbours", "edges")  # tables of one rule
NAMES_PER_BLOCK = 30  # of a block of several identifiers; beyond it the values describe a place, not a party


def rule_steps(ruleset: Ruleset, rule: MatchRule, *, clusters: str | None = None) -> Iterator[Step]:
    """The steps of one rule; the last makes its edges (left_id, right_id, left_record, right_record, rule, block, names).

    With `clusters` (a table record_id → cluster_id) the edges run between clusters, and only where these differ.
    """
    stem = f"{WORK}.{ruleset.kind}_{rule.rule}"
    yield Step(f"{stem}_blocks", _blocks(ruleset.kind, rule, clusters))
    yield Step(f"{stem}_names", _block_names(f"{stem}_blocks", composite=len(rule.identifiers) > 1))
    yield Step(f"{stem}_company", _company(ruleset.kind, rule, stem))
    yield Step(f"{stem}_neighbours", _neighbours(ruleset.kind, stem))
    yield Step(f"{stem}_edges", _edges(ruleset, rule, stem))


def _blocks(kind: str, rule: MatchRule, clusters: str | None) -> str:
    """One row per record and block. A blank name is 0, and is kept only where the rule lets blank names match."""
    others = rule.identifiers[1:]
    block = " || '|' || ".join(f"i{n}.value" for n in range(len(rule.identifiers)))
    joins = "".join(
        f" join {WORK}.{kind}_identifiers as i{n + 1} on i{n + 1}.record_id = i0.record_id" for n in range(len(others))
    )
    usable = " and ".join(
        f"i{n}.kind = {text(name)} and {_usable(f'i{n}.guard', rule)}" for n, name in enumerate(rule.identifiers)
    )
    blank = any(criterion.blank == "match" for criterion in rule.names)
    named = "" if blank else " and i0.name_id is not null"
    node = "c.cluster_id" if clusters else "i0.record_id"
    member = f" join {clusters} as c on c.record_id = i0.record_id" if clusters else ""
    return (
        f"select {block} as block, coalesce(i0.name_id, 0) as name_id, i0.variant, {node} as node_id, min(i0.record_id) as record_id"
        f" from {WORK}.{kind}_identifiers as i0{joins}{member} where {usable}{named} group by 1, 2, 3, 4"
    )


def _usable(guard: str, rule: MatchRule) -> str:
    """Which guarded values a rule may use: a family's where it looks for contradictions, a switchboard's beside others."""
    allowed = (["household"] if rule.use_family_values else []) + (
        ["shared", "household"] if len(rule.identifiers) > 1 else []
    )
    if not allowed:
        return f"{guard} is null"
    return f"({guard} is null or {guard} in ({', '.join(text(name) for name in sorted(set(allowed)))}))"


def _block_names(blocks: str, *, composite: bool) -> str:
    crowded = (
        f" where block not in (select block from {blocks} group by block having count(distinct name_id) > {NAMES_PER_BLOCK})"
        if composite
        else ""
    )
    return (
        f"select block, name_id, variant, min(node_id) as first_id, min(record_id) as first_record, count(*) as nodes"
        f" from {blocks}{crowded} group by block, name_id, variant"
    )


def _company(kind: str, rule: MatchRule, stem: str) -> str:
    """Only the names that are not alone in their block: most are, and need no comparison.

    Where the rule wants equal names, only those stand together (`same_name`); else all names of the block.
    """
    if _wants_equal_names(rule):
        alike = "m.core" if kind == "account" else "n.name_id"
        join = f" join {WORK}.{kind}_names as m on m.name_id = n.name_id" if kind == "account" else ""
        named = f"select n.*, {alike} as same_name from {stem}_names as n{join}"
    else:
        named = f"select n.*, 0 as same_name from {stem}_names as n"
    return (
        f"with named as ({named}), crowds as (select block, same_name, count(*) as names from named group by block, same_name having count(*) > 1)"
        " select named.*, crowds.names from named join crowds on crowds.block = named.block and crowds.same_name = named.same_name"
    )


def _wants_equal_names(rule: MatchRule) -> bool:
    return any(c.field == "name" and c.method != "fuzzy" and c.blank != "match" for c in rule.names)


def _neighbours(kind: str, stem: str) -> str:
    """In blocks of many names: each name under itself and under every text that one deletion leaves of it.

    Two names at most one letter apart share such a key, so that not every pair has to be compared. Short forms and
    swapped names are not found this way; that is the price of an over-full block.
    """
    written = "n.core" if kind == "account" else "n.given || ' ' || n.family"
    return f"""
        with named as (
            select c.block, c.name_id, c.variant, {written} as written
            from {stem}_company as c
            join {WORK}.{kind}_names as n on n.name_id = c.name_id
            where c.names > {COMPARE_ALL_UP_TO}
        )
        select block, name_id, variant, written as neighbour from named
        union
        select block, name_id, variant, substr(written, 1, p.n - 1) || substr(written, p.n + 1, 300)
        from named join {WORK}.positions as p on p.n <= length(written)
    """


def _edges(ruleset: Ruleset, rule: MatchRule, stem: str) -> str:
    kind = ruleset.kind
    predicate = name_predicate(kind, rule.names, form_matters="legal_form" in ruleset.constraints.at_most_one)
    nick = " left join {w}.nicknames as nick on nick.a = a.given and nick.b = b.given" if kind == "individual" else ""
    order = "(n.name_id > m.name_id or (n.name_id = m.name_id and n.variant > m.variant))"
    return f"""
        select n.first_id as left_id, b.node_id as right_id, n.first_record as left_record, b.record_id as right_record,
            {text(rule.rule)} as rule, n.block, 'same' as names
        from {stem}_blocks as b
        join {stem}_names as n on n.block = b.block and n.name_id = b.name_id and n.variant = b.variant
        where n.nodes > 1 and b.node_id <> n.first_id
        union all
        select p.left_id, p.right_id, p.left_record, p.right_record, {text(rule.rule)}, p.block,
            case when p.left_name = p.right_name then 'same' else 'near' end
        from (
            select m.first_id as left_id, n.first_id as right_id, m.first_record as left_record,
                n.first_record as right_record, m.block, m.name_id as left_name, n.name_id as right_name
            from {stem}_company as m
            join {stem}_company as n on n.block = m.block and n.same_name = m.same_name and {order} and n.first_id <> m.first_id
            where m.names <= {COMPARE_ALL_UP_TO}
            union all
            select distinct m.first_id, n.first_id, m.first_record, n.first_record, m.block, m.name_id, n.name_id
            from {stem}_neighbours as mk
            join {stem}_neighbours as nk on nk.block = mk.block and nk.neighbour = mk.neighbour
            join {stem}_company as m on m.block = mk.block and m.name_id = mk.name_id and m.variant = mk.variant
            join {stem}_company as n on n.block = nk.block and n.name_id = nk.name_id and n.variant = nk.variant
            where {order} and n.first_id <> m.first_id
        ) as p
        left join {WORK}.{kind}_names as a on a.name_id = p.left_name
        left join {WORK}.{kind}_names as b on b.name_id = p.right_name{nick.format(w=WORK)}
        where {predicate}
    """
