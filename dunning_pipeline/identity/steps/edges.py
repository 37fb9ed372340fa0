"""From rules to edges: records in one block (same identifiers) whose names are near; star edges where names are equal."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Iterator, Sequence
from itertools import product

from dunning_pipeline.identity.rulesets import MatchRule, Ruleset
from dunning_pipeline.identity.steps.identifiers import differs, slots
from dunning_pipeline.identity.steps.names import likenesses, name_predicate, related_names
from dunning_pipeline.identity.steps.step import WORK, Step

COMPARE_AT_ONCE_UP_TO = 6  # names in a block; above it people's names are looked up by what near names have in common
COMPARE_ALL_UP_TO = 60  # names in a block; above it only names under one deletion key are compared
PARTS = ("members", "groups", "crowded", "crowds", "company", "neighbours", "candidates")  # tables of one rule
NAMES_PER_BLOCK = 30  # of a block of several identifiers; beyond it the values describe a place, not a party

_COMPARED = {  # columns of the names that a pair is judged by
    "account": ("core", "form", "first_word", "word_set", "letters", "digits"),
    "individual": ("given", "family", "suffix", "given_letters", "family_letters"),
}
# column of the names and what a group has of it; companies of one core and form may be written with other first words
_NAMES_BY = {"account": ("record_id", "first_record"), "individual": ("name_id", "name_id")}
_PAIR = "strength, name_id_a, name_id_b, first_id_a, first_id_b, first_record_a, first_record_b"
_FOUND_BY = {"account": ("core",), "individual": ("given", "family", "given_root")}  # what candidates are found by


def members(ruleset: Ruleset, rule: MatchRule, *, records: str, moved: str | None) -> Step:
    """The records with all that the rule needs, of the blocks that several nodes share: most blocks hold one node alone.

    Nodes are the `node_id` of `records`, or where `moved` (node_id → root) has joined them since. Where people's names
    have to be equal, those of one name must be several; blocks of two identifiers are judged by all their names first.
    """
    keys, same = _keys(rule), _same_block(rule, "s", "m")
    if _alike(ruleset.kind, rule) == "g.name_id" and len(rule.identifiers) == 1:
        keys, same = f"{keys}, name_id", f"{same} and s.name_id = m.name_id"
    sql = f"""
        with usable as ({_usable_records(ruleset.kind, rule, records, moved)}),
        several as (select {keys} from usable group by {keys} having min(node_id) <> max(node_id))
        select m.* from usable as m join several as s on {same}
    """
    return Step(f"{stem(ruleset, rule)}_members", sql)


def block_steps(ruleset: Ruleset, rule: MatchRule) -> Iterator[Step]:
    """From the members of a rule's blocks to the names that are to be compared (`neighbours`: in blocks of many names)."""
    table = stem(ruleset, rule)
    yield Step(f"{table}_groups", _groups(rule, table))
    if len(rule.identifiers) > 1:
        yield Step(f"{table}_crowded", _crowded(rule, table))
    yield Step(f"{table}_crowds", _crowds(ruleset.kind, rule, table))
    yield Step(f"{table}_company", _company(ruleset.kind, rule, table))
    yield Step(f"{table}_neighbours", _neighbours(ruleset.kind, rule, table))


def candidates(ruleset: Ruleset, rule: MatchRule, *, some_large: bool) -> Step:
    return Step(f"{stem(ruleset, rule)}_candidates", _candidates(ruleset, rule, stem(ruleset, rule), some_large))


def pairs(ruleset: Ruleset, rules: Sequence[MatchRule], *, into: str) -> Step:
    """The candidates of these rules with what their names have in common (people) or with their names (companies)."""
    kind = ruleset.kind
    columns = ", ".join(f"n{side}.{c} as {c}_{side}" for side in "ab" for c in _COMPARED[kind])
    join = "left join" if any(_takes_blank_names(rule) for rule in rules) else "join"
    named = "".join(
        f" {join} {WORK}.{kind}_names as n{side} on n{side}.{_NAMES_BY[kind][0]} = c.{_NAMES_BY[kind][1]}_{side}"
        for side in "ab"
    )
    found = " union all ".join(
        f"select {_strength(ruleset, rule)} as strength, c.* from {stem(ruleset, rule)}_candidates as c"
        for rule in rules
    )
    sql = f"select c.*, {columns} from ({found}) as c{named}"
    if kind == "individual":
        alike = "".join(f", {sql} as {name}" for name, sql in likenesses(_near(ruleset, rules)).items())
        sql = f"select {_PAIR}{alike} from ({sql}) as n" + (
            f" left join {WORK}.nicknames as nick on nick.a = n.given_a and nick.b = n.given_b"
            f" left join {WORK}.givens as ga on ga.given = n.given_a left join {WORK}.givens as gb on gb.given = n.given_b"
        )
    return Step(f"{into}_pairs", sql)


def edges(ruleset: Ruleset, rules: Sequence[MatchRule], *, into: str, also_contradicting: bool) -> Step:
    """The edges of these rules (left_id, right_id, left_record, right_record, strength, is_same, note), between nodes.

    An edge joins no two records that differ in a constraint, unless `also_contradicting` asks who else would fit.
    """
    stars = " union all ".join(_star(ruleset, rule) for rule in rules)
    near, joins = f"({_near(ruleset, rules)})", ""
    if not also_contradicting:
        joins = "".join(
            f" join {WORK}.{ruleset.kind}_identifiers as i{side} on i{side}.record_id = p.first_record_{side}"
            for side in "ab"
        )
        near += f" and not coalesce({differs(ruleset, 'ia', 'ib')}, false)"
    sql = f"""
        select left_id, right_id, left_record, right_record, strength, is_same, cast(null as varchar) as note
        from (
            {stars}
            union all
            select p.first_id_a, p.first_id_b, p.first_record_a, p.first_record_b, p.strength, p.name_id_a = p.name_id_b
            from {into}_pairs as p{joins} where {near}
        ) as found
    """
    return Step(into, sql)


def stem(ruleset: Ruleset, rule: MatchRule) -> str:
    return f"{WORK}.{ruleset.kind}_{rule.rule}"


def block_columns(kind: str, rules: Sequence[MatchRule]) -> list[str]:
    """The columns of the identifiers that blocks of these rules are made of, each with its guard."""
    names = dict.fromkeys(name for rule in rules for name in rule.identifiers)
    return list(dict.fromkeys(column for name in names for slot in slots(kind, name) for column in slot))


def _keys(rule: MatchRule, alias: str = "") -> str:
    return ", ".join(f"{alias}b{n}" for n in range(len(rule.identifiers)))


def _same_block(rule: MatchRule, left: str, right: str) -> str:
    return " and ".join(f"{left}.b{n} = {right}.b{n}" for n in range(len(rule.identifiers)))


def _usable_records(kind: str, rule: MatchRule, records: str, moved: str | None) -> str:
    """One row per record and block; a blank name is 0, and is kept only where blank names may match."""
    blank = _takes_blank_names(rule)
    name = "coalesce(i.name_id, 0)" if blank else "i.name_id"
    node, join = "i.node_id", ""
    if moved:
        node, join = "coalesce(c.root, i.node_id)", f" left join {moved} as c on c.node_id = i.node_id"
    selects = []
    for combination in product(*(slots(kind, name) for name in rule.identifiers)):
        columns = ", ".join(f"i.{column} as b{n}" for n, (column, _) in enumerate(combination))
        usable = " and ".join(
            f"i.{column} is not null and {_usable(f'i.{guard}', rule)}" for column, guard in combination
        )
        named = "" if blank else " and i.name_id is not null"
        selects.append(
            f"select {columns}, {name} as name_id, i.variant, {node} as node_id, i.record_id"
            f" from {records} as i{join} where {usable}{named}"
        )
    return " union all ".join(selects)


def _takes_blank_names(rule: MatchRule) -> bool:
    return any(criterion.blank == "match" for criterion in rule.names)


def _usable(guard: str, rule: MatchRule) -> str:
    """Which guarded values a rule may use: a family's where it looks for contradictions, a switchboard's beside others."""
    if len(rule.identifiers) > 1:
        return "true"
    return f"({guard} is null or {guard} = 'household')" if rule.use_family_values else f"{guard} is null"


def _groups(rule: MatchRule, table: str) -> str:
    """One row per block, name and variant: the first and the last node, and the first record."""
    return (
        f"select {_keys(rule)}, name_id, variant, min(node_id) as first_id, max(node_id) as last_id, min(record_id) as first_record"
        f" from {table}_members group by {_keys(rule)}, name_id, variant"
    )


def _crowded(rule: MatchRule, table: str) -> str:
    many = f"select {_keys(rule)} from {table}_groups group by {_keys(rule)} having count(*) > {NAMES_PER_BLOCK}"
    return (
        f"select {_keys(rule, 'g.')} from {table}_groups as g join ({many}) as many on {_same_block(rule, 'g', 'many')}"
        f" group by {_keys(rule, 'g.')} having count(distinct g.name_id) > {NAMES_PER_BLOCK}"
    )


def _uncrowded(rule: MatchRule, table: str) -> tuple[str, str]:
    """JOIN and condition that leave out the blocks of too many names."""
    if len(rule.identifiers) == 1:
        return "", "true"
    return f" left join {table}_crowded as x on {_same_block(rule, 'x', 'g')}", "x.b0 is null"


def _crowds(kind: str, rule: MatchRule, table: str) -> str:
    """The blocks with two names and more; where the rule wants equal names, only those stand together (`same_name`)."""
    join, where = _uncrowded(rule, table)
    alike = _alike(kind, rule)
    named = _join_names(kind, rule) if alike == "f.core" else ""
    return (
        f"select {_keys(rule, 'g.')}, {alike} as same_name, count(*) as names from {table}_groups as g{named}{join}"
        f" where {where} group by {_keys(rule, 'g.')}{'' if alike == '0' else f', {alike}'} having count(*) > 1"
    )


def _company(kind: str, rule: MatchRule, table: str) -> str:
    """Only the names that are not alone in their block: most are alone."""
    found_by = ", ".join(f"f.{column}" for column in _FOUND_BY[kind])
    return f"""
        select {_keys(rule, "g.")}, g.name_id, g.variant, g.first_id, g.first_record, c.same_name, c.names, {found_by}
        from {table}_groups as g
        join {table}_crowds as c on {_same_block(rule, "c", "g")}{_join_names(kind, rule)}
        where c.same_name = {_alike(kind, rule)}
    """


def _alike(kind: str, rule: MatchRule) -> str:
    if not _wants_equal_names(rule):
        return "0"
    return "f.core" if kind == "account" else "g.name_id"


def _join_names(kind: str, rule: MatchRule) -> str:
    join = "left join" if _takes_blank_names(rule) else "join"
    return f" {join} {WORK}.{kind}_names as f on f.{_NAMES_BY[kind][0]} = g.{_NAMES_BY[kind][1]}"


def _wants_equal_names(rule: MatchRule) -> bool:
    return any(c.field == "name" and c.method != "fuzzy" and c.blank != "match" for c in rule.names)


def _neighbours(kind: str, rule: MatchRule, table: str) -> str:
    """In blocks of many names: each name under itself and under every text that one deletion leaves of it.

    Two names at most one letter apart share such a key, so that not every pair has to be compared. Short forms and
    swapped names are not found this way; that is the price of an over-full block.
    """
    written = "core" if kind == "account" else "given || ' ' || family"
    keys = f"{_keys(rule)}, name_id, variant"
    return f"""
        with named as (select {keys}, {written} as written from {table}_company where names > {COMPARE_ALL_UP_TO})
        select {keys}, written as neighbour from named
        union
        select {keys}, substr(written, 1, p.n - 1) || substr(written, p.n + 1, 300)
        from named join {WORK}.positions as p on p.n <= length(written)
    """


def _star(ruleset: Ruleset, rule: MatchRule) -> str:
    """Of every group the first node joined with each other one."""
    table = stem(ruleset, rule)
    join, where = _uncrowded(rule, table)
    return f"""
        select g.first_id as left_id, m.node_id as right_id, g.first_record as left_record, min(m.record_id) as right_record,
            {_strength(ruleset, rule)} as strength, true as is_same
        from {table}_members as m
        join {table}_groups as g on {_same_block(rule, "g", "m")} and g.name_id = m.name_id and g.variant = m.variant{join}
        where g.first_id <> g.last_id and m.node_id <> g.first_id and {where}
        group by g.first_id, m.node_id, g.first_record, {_keys(rule, "m.")}, m.name_id, m.variant
    """


def _strength(ruleset: Ruleset, rule: MatchRule) -> int:
    return next(n for n, other in enumerate(ruleset.match_rules, start=1) if other.rule == rule.rule)


def _near(ruleset: Ruleset, rules: Sequence[MatchRule]) -> str:
    """SQL: the names are as near as the rule of the pair asks for; rules that ask for the same share their condition."""
    wanted: dict[str, list[int]] = {}
    for rule in rules:
        condition = name_predicate(
            ruleset.kind, rule.names, form_matters="legal_form" in ruleset.constraints.at_most_one
        )
        wanted.setdefault(condition, []).append(_strength(ruleset, rule))
    if len(wanted) == 1:
        return next(iter(wanted))
    return " or ".join(
        f"(p.strength in ({', '.join(map(str, strengths))}) and ({condition}))"
        for condition, strengths in wanted.items()
    )


def _candidates(ruleset: Ruleset, rule: MatchRule, table: str, some_large: bool) -> str:
    """Pairs of names of one block: in a small block all that may be near, in a large one those under one deletion key."""
    columns = ", ".join(f"{side}.{c} as {c}_{side}" for side in "ab" for c in ("name_id", "first_id", "first_record"))
    order = "(b.name_id > a.name_id or (b.name_id = a.name_id and b.variant > a.variant)) and b.first_id <> a.first_id"
    company = (
        f"{table}_company as a join {table}_company as b on {_same_block(rule, 'b', 'a')} and b.same_name = a.same_name"
    )
    ways = related_names(rule.names) if ruleset.kind == "individual" else []
    same = " and ".join(f"{{0}}.{c} = {{1}}.{c}" for c in (*_keys(rule).split(", "), "name_id", "variant"))
    few = f"a.names <= {COMPARE_AT_ONCE_UP_TO if ways else COMPARE_ALL_UP_TO}"
    some = f"a.names > {COMPARE_AT_ONCE_UP_TO} and a.names <= {COMPARE_ALL_UP_TO}"
    any_way = " or ".join(f"({joined} and {where})" for joined, where in ways) or "true"
    small = [
        f"select {columns} from {company} and {joined} where {size} and {order} and ({where})"
        for size, joined, where in ((few, "true", any_way), *((some, *way) for way in ways))
    ]
    large = (
        f"select distinct {columns} from {table}_neighbours as ak"
        f" join {table}_neighbours as bk on {_same_block(rule, 'bk', 'ak')} and bk.neighbour = ak.neighbour"
        f" join {table}_company as a on {same.format('a', 'ak')} join {table}_company as b on {same.format('b', 'bk')} where {order}"
    )
    return " union all ".join([*small, large] if some_large else small)
