"""From the records of a block to edges: star edges where names are equal, and pairs of names that are near enough."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Iterator, Mapping, Sequence

from dunning_pipeline.identity.rulesets import MatchRule, Ruleset
from dunning_pipeline.identity.steps.blocks import (
    block_keys,
    same_block,
    same_name_key,
    stem,
    takes_blank_names,
    wants_equal_names,
)
from dunning_pipeline.identity.steps.identifiers import differs
from dunning_pipeline.identity.steps.names import (
    RELATED,
    RELATED_BY,
    finds_related,
    found_by,
    likenesses,
    name_predicate,
    names_table,
)
from dunning_pipeline.identity.steps.step import WORK, Step

# names that a name of a rule has beside it on average; above it people's names are found by what they have in common
COMPARE_AT_ONCE_UP_TO = 12
COMPARE_ALL_UP_TO = 60  # names in a block; above it only names under one deletion key are compared
PARTS = ("members", "groups", "crowds", "company", "neighbours", "candidates")  # tables of one rule
_COMPARED = {  # columns of the names that a pair is judged by
    "account": ("core", "form", "first_word", "word_set", "letters", "digits"),
    "individual": ("given", "family", "suffix", "given_letters", "family_letters", "given_root"),
}
# column of the names and what a group has of it; companies of one core and form may be written with other first words
_NAMES_BY = {"account": ("record_id", "first_record"), "individual": ("name_id", "name_id")}
_PAIR = "strength, name_id_a, name_id_b, first_id_a, first_id_b, first_record_a, first_record_b"


def groups(ruleset: Ruleset, rule: MatchRule, *, members: str) -> Step:
    """One row per block, name and variant: the first and the last node, and the first record."""
    return Step(
        f"{stem(ruleset, rule)}_groups",
        f"select {block_keys(rule)}, name_id, variant, min(node_id) as first_id, max(node_id) as last_id, min(record_id) as first_record"
        f" from {members} as m group by {block_keys(rule)}, name_id, variant",
    )


def crowds(ruleset: Ruleset, rule: MatchRule) -> Step:
    """The blocks with two names and more; where the rule wants equal names, only those stand together (`same_name`)."""
    alike = same_name_key(ruleset.kind, rule)
    named = _join_names(ruleset.kind, rule) if alike == "f.core" else ""
    return Step(
        f"{stem(ruleset, rule)}_crowds",
        f"select {block_keys(rule, 'g.')}, {alike} as same_name, count(*) as names from {stem(ruleset, rule)}_groups as g{named}"
        f" group by {block_keys(rule, 'g.')}{'' if alike == '0' else f', {alike}'} having count(*) > 1",
    )


def crowding(ruleset: Ruleset, rule: MatchRule) -> str:
    """Query of the names in the largest of the `crowds`, and of those that a name meets on average where all are compared."""
    met = f"sum(case when names <= {COMPARE_ALL_UP_TO} then names * names else 0 end) / sum(names)"
    return f"select max(names), {met} from {stem(ruleset, rule)}_crowds"


def candidate_steps(ruleset: Ruleset, rule: MatchRule, *, most_names: int, names_met: float) -> Iterator[Step]:
    """The names that are to be compared; in blocks of many names those with a neighbour in common. Needs its `crowding`."""
    table = stem(ruleset, rule)
    yield Step(f"{table}_company", _company(ruleset.kind, rule, table))
    some_large = most_names > COMPARE_ALL_UP_TO
    if some_large:
        yield Step(f"{table}_neighbours", _neighbours(ruleset.kind, rule, table))
    at_once = names_met <= COMPARE_AT_ONCE_UP_TO
    yield Step(f"{table}_candidates", _candidates(ruleset, rule, table, at_once=at_once, some_large=some_large))


def pairs(ruleset: Ruleset, rules: Sequence[MatchRule], *, into: str) -> Step:
    """The candidates of these rules with what their names have in common (people) or with their names (companies)."""
    kind = ruleset.kind
    columns = ", ".join(f"n{side}.{c} as {c}_{side}" for side in "ab" for c in _COMPARED[kind])
    join = "left join" if any(takes_blank_names(rule) for rule in rules) else "join"
    named = "".join(
        f" {join} {names_table(kind)} as n{side} on n{side}.{_NAMES_BY[kind][0]} = c.{_NAMES_BY[kind][1]}_{side}"
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


def _company(kind: str, rule: MatchRule, table: str) -> str:
    """Only the names that are not alone in their block: most are alone."""
    found_by = [f"f.{column}" for column in (RELATED_BY if kind == "individual" else ("core",))]
    return f"""
        select {block_keys(rule, "g.")}, g.name_id, g.variant, g.first_id, g.first_record, c.same_name, c.names, {", ".join(found_by)}
        from {table}_groups as g
        join {table}_crowds as c on {same_block(rule, "c", "g")}{_join_names(kind, rule)}
        where c.same_name = {same_name_key(kind, rule)}
    """


def _join_names(kind: str, rule: MatchRule) -> str:
    join = "left join" if takes_blank_names(rule) else "join"
    return f" {join} {names_table(kind)} as f on f.{_NAMES_BY[kind][0]} = g.{_NAMES_BY[kind][1]}"


def _neighbours(kind: str, rule: MatchRule, table: str) -> str:
    """In blocks of many names: each name under itself and under every text that one deletion leaves of it.

    Two names at most one letter apart share such a key, so that not every pair has to be compared. Short forms and
    swapped names are not found this way; that is the price of an over-full block.
    """
    written, joined = "c.core", ""
    if kind == "individual":
        written = "n.given || ' ' || n.family"
        joined = f" join {names_table(kind)} as n on n.name_id = c.name_id"
    keys = f"{block_keys(rule)}, name_id, variant"
    return f"""
        with named as (
            select {block_keys(rule, "c.")}, c.name_id, c.variant, {written} as written from {table}_company as c{joined}
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
        join {stem(ruleset, rule)}_groups as g on {same_block(rule, "g", "m")} and g.name_id = m.name_id and g.variant = m.variant
        where g.first_id <> g.last_id and m.node_id <> g.first_id
        group by g.first_id, m.node_id, g.first_record, {block_keys(rule, "m.")}, m.name_id, m.variant
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


def _candidates(ruleset: Ruleset, rule: MatchRule, table: str, *, at_once: bool, some_large: bool) -> str:
    """Pairs of names of one block: in a small block all that may be near, in a large one those under one deletion key."""
    columns = ", ".join(f"{side}.{c} as {c}_{side}" for side in "ab" for c in ("name_id", "first_id", "first_record"))
    order = "(b.name_id > a.name_id or (b.name_id = a.name_id and b.variant > a.variant)) and b.first_id <> a.first_id"
    company = f"{table}_company as a join {table}_company as b on {same_block(rule, 'b', 'a')}"
    if wants_equal_names(rule):
        company += " and b.same_name = a.same_name"
    ways = found_by(rule.names) if ruleset.kind == "individual" else [("true", "true")]
    if at_once:
        ways = [("true", "(" + " or ".join(f"({joined} and {rest})" for joined, rest in ways) + ")")]
    same = " and ".join(f"{{0}}.{c} = {{1}}.{c}" for c in (*block_keys(rule).split(", "), "name_id", "variant"))
    few = f" and a.names <= {COMPARE_ALL_UP_TO}" if some_large else ""
    small = [f"select {columns} from {company} and {joined} where {order} and {rest}{few}" for joined, rest in ways]
    large = (
        f"select distinct {columns} from {table}_neighbours as ak"
        f" join {table}_neighbours as bk on {same_block(rule, 'bk', 'ak')} and bk.neighbour = ak.neighbour"
        f" join {table}_company as a on {same.format('a', 'ak')} join {table}_company as b on {same.format('b', 'bk')} where {order}"
    )
    return " union all ".join([*small, large] if some_large else small)
