"""From rules to edges: records in one block (same identifiers) whose names are near; star edges where names are equal."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from dunning_pipeline.identity.rulesets import MatchRule, Ruleset
from dunning_pipeline.identity.steps.identifiers import differs, slots
from dunning_pipeline.identity.steps.names import (
    RELATED,
    RELATED_BY,
    finds_related,
    found_by,
    likenesses,
    name_predicate,
)
from dunning_pipeline.identity.steps.step import WORK, Step

COMPARE_AT_ONCE_UP_TO = (
    12  # names in the largest block of a rule; above it people's names are looked up by what they have in common
)
COMPARE_ALL_UP_TO = 60  # names in a block; above it only names under one deletion key are compared
PARTS = ("members", "groups", "crowds", "company", "neighbours", "candidates")  # tables of one rule
NAMES_PER_BLOCK = 30  # of a block of several identifiers; beyond it the values describe a place, not a party

_COMPARED = {  # columns of the names that a pair is judged by
    "account": ("core", "form", "first_word", "word_set", "letters", "digits"),
    "individual": ("given", "family", "suffix", "given_letters", "family_letters", "given_root"),
}
# column of the names and what a group has of it; companies of one core and form may be written with other first words
_NAMES_BY = {"account": ("record_id", "first_record"), "individual": ("name_id", "name_id")}
_PAIR = "strength, name_id_a, name_id_b, first_id_a, first_id_b, first_record_a, first_record_b"


def open_blocks(ruleset: Ruleset, rules: Sequence[MatchRule]) -> Step:
    """The records of the blocks in which clusters meet, for all `rules` that look at the same identifiers: few are left to look at.

    `is_family` says that the value is one that a family shares. Blocks of two identifiers with too many names are left out.
    """
    kind, first = ruleset.kind, rules[0]
    blank = any(_takes_blank_names(rule) for rule in rules)
    usable = _usable_records(kind, first, f"{WORK}.{kind}_nodes as i", node="i.node_id", blank=blank, family=True)
    by_name = all(_alike(kind, rule) == "g.name_id" for rule in rules)
    return Step(open_table(kind, first), _of_several_nodes(first, usable, by_name=by_name))


def open_table(kind: str, rule: MatchRule) -> str:
    return f"{WORK}.{kind}_open_{'_'.join(rule.identifiers)}"


def members(ruleset: Ruleset, rule: MatchRule) -> Step:
    """The records with all that the rule needs, each a node of its own, of the blocks that several share: most hold one alone.

    Where people's names have to be equal, those of one name must be several; blocks of two identifiers are judged by all
    their names first.
    """
    kind = ruleset.kind
    source, blank = f"{WORK}.{kind}_identifiers as i", _takes_blank_names(rule)
    usable = _usable_records(kind, rule, source, node="i.record_id", blank=blank, family=rule.use_family_values)
    return Step(
        f"{stem(ruleset, rule)}_members", _of_several_nodes(rule, usable, by_name=_alike(kind, rule) == "g.name_id")
    )


def later_members(ruleset: Ruleset, rule: MatchRule, *, moved: str) -> str:
    """Query of the records of open blocks that the rule may use, as nodes of the clusters of today: `moved` (node_id → root) joined some."""
    conditions = [] if len(rule.identifiers) > 1 or rule.use_family_values else ["not m.is_family"]
    if not _takes_blank_names(rule):
        conditions.append("m.name_id <> 0")
    return (
        f"(select {_keys(rule, 'm.')}, m.name_id, m.variant, coalesce(c.root, m.node_id) as node_id, m.record_id"
        f" from {open_table(ruleset.kind, rule)} as m left join {moved} as c on c.node_id = m.node_id"
        f" where {' and '.join(conditions) or 'true'})"
    )


def _of_several_nodes(rule: MatchRule, usable: str, *, by_name: bool) -> str:
    """Query of the usable records whose block has several nodes; a block of two identifiers and too many names falls out."""
    keys, same = _keys(rule), _same_block(rule, "s", "m")
    if len(rule.identifiers) == 1:
        if by_name:
            keys, same = f"{keys}, name_id", f"{same} and s.name_id = m.name_id"
        several = f"select {keys} from usable group by {keys} having min(node_id) <> max(node_id)"
        return (
            f"with usable as ({usable}), several as ({several}) select m.* from usable as m join several as s on {same}"
        )
    return f"""
        with usable as ({usable}),
        several as (
            select {keys}, count(*) as rows_of_block from usable group by {keys} having min(node_id) <> max(node_id)
        ),
        crowded as (
            select {_keys(rule, "m.")} from usable as m join several as s on {same} and s.rows_of_block > {NAMES_PER_BLOCK}
            group by {_keys(rule, "m.")} having count(distinct m.name_id) > {NAMES_PER_BLOCK}
        )
        select m.* from usable as m join several as s on {same} left join crowded as x on {_same_block(rule, "x", "m")}
        where x.b0 is null
    """


def groups(ruleset: Ruleset, rule: MatchRule, *, members: str) -> Step:
    """One row per block, name and variant: the first and the last node, and the first record."""
    return Step(
        f"{stem(ruleset, rule)}_groups",
        f"select {_keys(rule)}, name_id, variant, min(node_id) as first_id, max(node_id) as last_id, min(record_id) as first_record"
        f" from {members} as m group by {_keys(rule)}, name_id, variant",
    )


def crowds(ruleset: Ruleset, rule: MatchRule) -> Step:
    """The blocks with two names and more; where the rule wants equal names, only those stand together (`same_name`)."""
    alike = _alike(ruleset.kind, rule)
    named = _join_names(ruleset.kind, rule) if alike == "f.core" else ""
    return Step(
        f"{stem(ruleset, rule)}_crowds",
        f"select {_keys(rule, 'g.')}, {alike} as same_name, count(*) as names from {stem(ruleset, rule)}_groups as g{named}"
        f" group by {_keys(rule, 'g.')}{'' if alike == '0' else f', {alike}'} having count(*) > 1",
    )


def candidate_steps(ruleset: Ruleset, rule: MatchRule, *, most_names: int) -> Iterator[Step]:
    """The names that are to be compared; in blocks of many names (`most_names` in the largest) those with a neighbour in common."""
    table = stem(ruleset, rule)
    yield Step(f"{table}_company", _company(ruleset.kind, rule, table))
    if most_names > COMPARE_ALL_UP_TO:
        yield Step(f"{table}_neighbours", _neighbours(ruleset.kind, rule, table))
    yield Step(f"{table}_candidates", _candidates(ruleset, rule, table, most_names))


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
    if kind == "account":
        return Step(f"{into}_pairs", sql)
    related = ", ".join(str(_strength(ruleset, rule)) for rule in rules if finds_related(rule.names))
    some = f" where n.strength not in ({related}) or {RELATED}" if related else ""
    alike = "".join(f", {sql} as {name}" for name, sql in likenesses(_near(ruleset, rules)).items())
    sql = (
        f"select {_PAIR}{alike} from (select * from ({sql}) as n{some}) as n"
        f" left join {WORK}.nicknames as nick on nick.a = n.given_a and nick.b = n.given_b"
        f" left join {WORK}.givens as ga on ga.given = n.given_a left join {WORK}.givens as gb on gb.given = n.given_b"
    )
    return Step(f"{into}_pairs", sql)


def edges(
    ruleset: Ruleset,
    members: Mapping[MatchRule, str],
    compared: Sequence[MatchRule],
    *,
    into: str,
    also_contradicting: bool,
) -> Step:
    """The edges of these rules (left_id, right_id, left_record, right_record, strength, is_same, note), between nodes.

    Equal names of `members` make stars; the pairs of the rules that have `compared` others are judged by their names.

    An edge joins no two records that differ in a constraint, unless `also_contradicting` asks who else would fit.
    """
    found = [_star(ruleset, rule, source) for rule, source in members.items()]
    if compared:
        near, joins = f"({_near(ruleset, compared)})", ""
        if not also_contradicting:
            joins = "".join(
                f" join {WORK}.{ruleset.kind}_identifiers as i{side} on i{side}.record_id = p.first_record_{side}"
                for side in "ab"
            )
            near += f" and not coalesce({differs(ruleset, 'ia', 'ib')}, false)"
        found.append(
            "select p.first_id_a, p.first_id_b, p.first_record_a, p.first_record_b, p.strength, p.name_id_a = p.name_id_b"
            f" from {into}_pairs as p{joins} where {near}"
        )
    sql = f"""
        select left_id, right_id, left_record, right_record, strength, is_same, cast(null as varchar) as note
        from ({" union all ".join(found)}) as found
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


def _usable_records(kind: str, rule: MatchRule, source: str, *, node: str, blank: bool, family: bool) -> str:
    """One row per record of `source` and block; a blank name is 0, and is kept only where blank names may match.

    Guarded values: those of a family only where asked for, a switchboard's only beside others.
    """
    selects = []
    for combination in product(*(slots(kind, name) for name in rule.identifiers)):
        columns = ", ".join(f"i.{column} as b{n}" for n, (column, _) in enumerate(combination))
        usable = [f"i.{column} is not null" for column, _ in combination]
        guard = f"i.{combination[0][1]}"
        if len(combination) == 1:
            usable.append(f"({guard} is null or {guard} = 'household')" if family else f"{guard} is null")
        if not blank:
            usable.append("i.name_id is not null")
        name = "coalesce(i.name_id, 0)" if blank else "i.name_id"
        shared = f", {guard} is not null as is_family" if family else ""
        selects.append(
            f"select {columns}, {name} as name_id, i.variant, {node} as node_id, i.record_id{shared}"
            f" from {source} where {' and '.join(usable)}"
        )
    return " union all ".join(selects)


def _takes_blank_names(rule: MatchRule) -> bool:
    return any(criterion.blank == "match" for criterion in rule.names)


def _company(kind: str, rule: MatchRule, table: str) -> str:
    """Only the names that are not alone in their block: most are alone."""
    found_by = [f"f.{column}" for column in (RELATED_BY if kind == "individual" else ("core",))]
    return f"""
        select {_keys(rule, "g.")}, g.name_id, g.variant, g.first_id, g.first_record, c.same_name, c.names, {", ".join(found_by)}
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
    written, joined = "c.core", ""
    if kind == "individual":
        written = "n.given || ' ' || n.family"
        joined = f" join {WORK}.individual_names as n on n.name_id = c.name_id"
    keys = f"{_keys(rule)}, name_id, variant"
    return f"""
        with named as (
            select {_keys(rule, "c.")}, c.name_id, c.variant, {written} as written from {table}_company as c{joined}
            where c.names > {COMPARE_ALL_UP_TO}
        )
        select {keys}, written as neighbour from named
        union
        select {keys}, substr(written, 1, p.n - 1) || substr(written, p.n + 1, 300)
        from named join {WORK}.positions as p on p.n <= length(written)
    """


def _star(ruleset: Ruleset, rule: MatchRule, members: str) -> str:
    """Of every group the first node joined with each other one."""
    return f"""
        select g.first_id as left_id, m.node_id as right_id, g.first_record as left_record, min(m.record_id) as right_record,
            {_strength(ruleset, rule)} as strength, true as is_same
        from {members} as m
        join {stem(ruleset, rule)}_groups as g on {_same_block(rule, "g", "m")} and g.name_id = m.name_id and g.variant = m.variant
        where g.first_id <> g.last_id and m.node_id <> g.first_id
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


def _candidates(ruleset: Ruleset, rule: MatchRule, table: str, most_names: int) -> str:
    """Pairs of names of one block: in a small block all that may be near, in a large one those under one deletion key."""
    columns = ", ".join(f"{side}.{c} as {c}_{side}" for side in "ab" for c in ("name_id", "first_id", "first_record"))
    order = "(b.name_id > a.name_id or (b.name_id = a.name_id and b.variant > a.variant)) and b.first_id <> a.first_id"
    company = f"{table}_company as a join {table}_company as b on {_same_block(rule, 'b', 'a')}"
    if _wants_equal_names(rule):
        company += " and b.same_name = a.same_name"
    ways = found_by(rule.names) if ruleset.kind == "individual" else [("true", "true")]
    if most_names <= COMPARE_AT_ONCE_UP_TO:
        ways = [("true", "(" + " or ".join(joined for joined, _ in ways) + ")")]
    same = " and ".join(f"{{0}}.{c} = {{1}}.{c}" for c in (*_keys(rule).split(", "), "name_id", "variant"))
    some_large = most_names > COMPARE_ALL_UP_TO
    few = f" and a.names <= {COMPARE_ALL_UP_TO}" if some_large else ""
    small = [f"select {columns} from {company} and {joined} where {order} and {rest}{few}" for joined, rest in ways]
    large = (
        f"select distinct {columns} from {table}_neighbours as ak"
        f" join {table}_neighbours as bk on {_same_block(rule, 'bk', 'ak')} and bk.neighbour = ak.neighbour"
        f" join {table}_company as a on {same.format('a', 'ak')} join {table}_company as b on {same.format('b', 'bk')} where {order}"
    )
    return " union all ".join([*small, large] if some_large else small)
