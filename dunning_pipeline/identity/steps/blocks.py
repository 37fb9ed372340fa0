"""Blocks: the records that share what a rule looks at, and the blocks in which clusters meet, opened once for all later rules."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Sequence
from itertools import product

from dunning_pipeline.identity.rulesets import MatchRule, Ruleset
from dunning_pipeline.identity.steps.identifiers import HOUSEHOLD, slots
from dunning_pipeline.identity.steps.step import WORK, Step

NAMES_PER_BLOCK = 30  # of a block of several identifiers; beyond it the values describe a place, not a party


def open_blocks(ruleset: Ruleset, rules: Sequence[MatchRule]) -> Step:
    """The records of the blocks in which clusters meet, for all `rules` that look at the same identifiers: few are left to look at.

    `is_family` says that the value is one that a family shares. Blocks of two identifiers with too many names are left out.
    """
    kind, first = ruleset.kind, rules[0]
    blank = any(takes_blank_names(rule) for rule in rules)
    usable = _usable_records(kind, first, f"{WORK}.{kind}_nodes as i", node="i.node_id", blank=blank, family=True)
    by_name = all(same_name_key(kind, rule) == "g.name_id" for rule in rules)
    return Step(open_table(kind, first), _of_several_nodes(first, usable, by_name=by_name))


def open_table(kind: str, rule: MatchRule) -> str:
    """The table of the open blocks that the rule looks at."""
    return f"{WORK}.{kind}_open_{'_'.join(rule.identifiers)}"


def members(ruleset: Ruleset, rule: MatchRule) -> Step:
    """The records with all that the rule needs, each a node of its own, of the blocks that several share: most hold one alone.

    Where people's names have to be equal, those of one name must be several; blocks of two identifiers are judged by all
    their names first.
    """
    kind = ruleset.kind
    source, blank = f"{WORK}.{kind}_identifiers as i", takes_blank_names(rule)
    usable = _usable_records(kind, rule, source, node="i.record_id", blank=blank, family=rule.use_family_values)
    return Step(
        f"{stem(ruleset, rule)}_members",
        _of_several_nodes(rule, usable, by_name=same_name_key(kind, rule) == "g.name_id"),
    )


def later_members(ruleset: Ruleset, rule: MatchRule, *, moved: str) -> str:
    """Query of the records of open blocks that the rule may use, as nodes of the clusters of today: `moved` (node_id → root) joined some."""
    conditions = [] if len(rule.identifiers) > 1 or rule.use_family_values else ["not m.is_family"]
    if not takes_blank_names(rule):
        conditions.append("m.name_id <> 0")
    return (
        f"(select {block_keys(rule, 'm.')}, m.name_id, m.variant, coalesce(c.root, m.node_id) as node_id, m.record_id"
        f" from {open_table(ruleset.kind, rule)} as m left join {moved} as c on c.node_id = m.node_id"
        f" where {' and '.join(conditions) or 'true'})"
    )


def _of_several_nodes(rule: MatchRule, usable: str, *, by_name: bool) -> str:
    """Query of the usable records whose block has several nodes; a block of two identifiers and too many names falls out."""
    keys, same = block_keys(rule), same_block(rule, "s", "m")
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
            select {block_keys(rule, "m.")} from usable as m join several as s on {same} and s.rows_of_block > {NAMES_PER_BLOCK}
            group by {block_keys(rule, "m.")} having count(distinct m.name_id) > {NAMES_PER_BLOCK}
        )
        select m.* from usable as m join several as s on {same} left join crowded as x on {same_block(rule, "x", "m")}
        where x.b0 is null
    """


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
            usable.append(f"({guard} is null or {guard} = {HOUSEHOLD})" if family else f"{guard} is null")
        if not blank:
            usable.append("i.name_id is not null")
        name = "coalesce(i.name_id, 0)" if blank else "i.name_id"
        shared = f", {guard} is not null as is_family" if family else ""
        selects.append(
            f"select {columns}, {name} as name_id, i.variant, {node} as node_id, i.record_id{shared}"
            f" from {source} where {' and '.join(usable)}"
        )
    return " union all ".join(selects)


def stem(ruleset: Ruleset, rule: MatchRule) -> str:
    """What the names of the rule's own tables begin with."""
    return f"{WORK}.{ruleset.kind}_{rule.rule}"


def block_columns(kind: str, rules: Sequence[MatchRule]) -> list[str]:
    """The columns of the identifiers that blocks of these rules are made of, each with its guard."""
    names = dict.fromkeys(name for rule in rules for name in rule.identifiers)
    return list(dict.fromkeys(column for name in names for slot in slots(kind, name) for column in slot))


def block_keys(rule: MatchRule, alias: str = "") -> str:
    """The columns of the values that make a block, in the order of the rule's identifiers."""
    return ", ".join(f"{alias}b{n}" for n in range(len(rule.identifiers)))


def same_block(rule: MatchRule, left: str, right: str) -> str:
    """SQL: two rows are of one block."""
    return " and ".join(f"{left}.b{n} = {right}.b{n}" for n in range(len(rule.identifiers)))


def takes_blank_names(rule: MatchRule) -> bool:
    """Whether a record without a name may match."""
    return any(criterion.blank == "match" for criterion in rule.names)


def same_name_key(kind: str, rule: MatchRule) -> str:
    """SQL of what the names compared in one block must have in common: 0 where any two are compared."""
    if not wants_equal_names(rule):
        return "0"
    return "f.core" if kind == "account" else "g.name_id"


def wants_equal_names(rule: MatchRule) -> bool:
    """Whether whole names must be the same."""
    return any(c.field == "name" and c.method != "fuzzy" and c.blank != "match" for c in rule.names)
