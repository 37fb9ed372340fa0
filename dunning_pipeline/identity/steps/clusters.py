"""Steps around the clusters: which break a constraint, and joining them where exactly one fits."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Sequence

from dunning_pipeline.identity.rulesets import MatchRule, Ruleset
from dunning_pipeline.identity.steps.blocks import block_columns
from dunning_pipeline.identity.steps.identifiers import (
    SHARED,
    constraint_columns,
    differs_within,
    is_constrained,
    slots,
)
from dunning_pipeline.identity.steps.names import names_table
from dunning_pipeline.identity.steps.step import WORK, Step

_NAMES = ("first_name", "last_name", "name", "legal_form")  # may contradict without being an identifier


def initial_clusters(kind: str, labels: str) -> Step:
    """record_id → cluster_id; a record without an edge is its own cluster. A cluster's id is its least record."""
    return Step(
        f"{WORK}.{kind}_clusters",
        f"select r.record_id, coalesce(l.root, r.record_id) as cluster_id from {WORK}.{kind}_identifiers as r"
        f" left join {labels} as l on l.node_id = r.record_id",
    )


def nodes(ruleset: Ruleset, rules: Sequence[MatchRule]) -> Step:
    """The records with what these rules look at, as nodes of their clusters."""
    kind = ruleset.kind
    columns = ", ".join(f"i.{column}" for column in block_columns(kind, rules))
    return Step(
        f"{WORK}.{kind}_nodes",
        f"select i.record_id, c.cluster_id as node_id, i.name_id, i.variant, {columns} from {WORK}.{kind}_identifiers as i"
        f" join {WORK}.{kind}_clusters as c on c.record_id = i.record_id",
    )


def broken_clusters(ruleset: Ruleset, labels: str) -> str:
    """Query of clusters with two values of an attribute or a cannot-link pair inside."""
    kind = ruleset.kind
    return f"""
        select distinct cluster_id from (
            select l.root as cluster_id from {labels} as l
            join {WORK}.{kind}_identifiers as i on i.record_id = l.node_id and {is_constrained(ruleset, "i")}
            group by l.root having {differs_within(ruleset, "i")}
            union all
            select l.root from {WORK}.{kind}_cannot_link as c
            join {labels} as l on l.node_id = c.left_id join {labels} as r on r.node_id = c.right_id
            where l.root = r.root
        ) as broken
    """


def attributes_of(ruleset: Ruleset, labels: str, broken: str) -> str:
    """Query (cluster, record, constraint, value) of the broken clusters."""
    return " union all ".join(
        f"select l.root, i.record_id, '{name}' as attribute, cast(i.{column} as varchar) as value from {labels} as l"
        f" join {broken} as b on b.cluster_id = l.root join {WORK}.{ruleset.kind}_identifiers as i on i.record_id = l.node_id"
        f" where i.{column} is not null"
        for name, column in constraint_columns(ruleset).items()
    )


def sizes(kind: str) -> Step:
    """cluster_id → its number of records."""
    return Step(
        f"{WORK}.{kind}_sizes",
        f"select cluster_id, count(*) as members from {WORK}.{kind}_clusters group by cluster_id",
    )


def quarantined(kind: str, limit: int) -> Step:
    """The records of clusters with more of them than the ruleset allows."""
    clusters = f"{WORK}.{kind}_clusters"
    return Step(
        f"{WORK}.{kind}_quarantined",
        f"select c.record_id, c.cluster_id, s.members as records from {clusters} as c"
        f" join {WORK}.{kind}_sizes as s on s.cluster_id = c.cluster_id where s.members > {limit}",
    )


def group_members(ruleset: Ruleset, rule: MatchRule, *, groups: str) -> Step:
    """The records of the clusters that a rule would join, with what may contradict."""
    kind = ruleset.kind
    looked_at = [
        column for name in rule.unless_conflict if name not in _NAMES for slot in slots(kind, name) for column in slot
    ]
    columns = dict.fromkeys(("record_id", *constraint_columns(ruleset).values(), *looked_at))
    given, named = (
        (", n.given", f" left join {names_table(kind)} as n on n.name_id = i.name_id")
        if kind == "individual"
        else ("", "")
    )
    return Step(
        f"{groups}_members",
        f"select g.root, g.node_id, {', '.join(f'i.{column}' for column in columns)}{given} from {groups} as g"
        f" join {WORK}.{kind}_clusters as c on c.cluster_id = g.node_id"
        f" join {WORK}.{kind}_identifiers as i on i.record_id = c.record_id{named}",
    )


def joining_groups(ruleset: Ruleset, rule: MatchRule, *, groups: str) -> Step:
    """The groups of clusters (node_id → root) that a rule `when_unambiguous` may join: nothing in them contradicts."""
    kind, members = ruleset.kind, f"{groups}_members"
    contradictions = [differs_within(ruleset, "m"), f"count(*) > {ruleset.guards.cluster_size}"]
    for name in rule.unless_conflict:
        if name == "first_name":
            given = "case when length(m.given) > 1 then m.given end"
            contradictions.append(f"min({given}) <> max({given})")
        elif name not in _NAMES:
            has_one = " or ".join(
                f"(m.{column} is not null and (m.{guard} is null or m.{guard} = {SHARED}))"
                for column, guard in slots(kind, name)
            )
            node = f"case when {has_one} then m.node_id end"
            contradictions.append(f"min({node}) <> max({node})")
    apart = (
        f"select l.root from {WORK}.{kind}_cannot_link as x join {members} as l on l.record_id = x.left_id"
        f" join {members} as r on r.record_id = x.right_id where l.root = r.root"
    )
    refused = (
        f"select m.root from {members} as m group by m.root having {' or '.join(contradictions)} union all {apart}"
    )
    return Step(f"{groups}_joined", f"select node_id, root from {groups} where root not in ({refused})")


def joined_clusters(kind: str, joined: str) -> Step:
    return Step(
        f"{WORK}.{kind}_clusters_next",
        f"select c.record_id, coalesce(j.root, c.cluster_id) as cluster_id from {WORK}.{kind}_clusters as c"
        f" left join {joined} as j on j.node_id = c.cluster_id",
    )


def moved_nodes(kind: str, joined: str) -> Step:
    """node_id → root: into which cluster the nodes of the open blocks came since they were looked for."""
    return Step(
        f"{WORK}.{kind}_moved_next",
        f"select m.node_id, coalesce(j.root, m.root) as root from {WORK}.{kind}_moved as m left join {joined} as j on j.node_id = m.root"
        f" union all select node_id, root from {joined} where node_id <> root",
    )
