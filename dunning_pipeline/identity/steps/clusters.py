"""Steps around the clusters: what constrains them, which break a constraint, and joining them where exactly one fits."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Sequence

from dunning_pipeline.identity.rulesets import MatchRule, Ruleset
from dunning_pipeline.identity.steps.step import WORK, Step, text


def attributes(ruleset: Ruleset) -> Step:
    """record × attribute × value of the constraints `at_most_one`, and the profile with open cases (`open_case`)."""
    kind = ruleset.kind
    parts = [
        f"select record_id, kind as attribute, min(value) as value from {WORK}.{kind}_values"
        f" where value is not null and problem is null and kind in ({_texts(ruleset.constraints.at_most_one)})"
        " group by record_id, kind"
    ]
    column = {"legal_form": "form", "generation": "generation"}
    parts += [
        f"select record_id, '{name}', {column[name]} from {WORK}.{kind}_named where {column[name]} is not null"
        for name in ruleset.constraints.at_most_one
        if name in column
    ]
    parts.append(
        f"select r.record_id, 'open_case', p.unified_id from {WORK}.{kind}_pinned as p"
        f" join {WORK}.{kind}_records as r on r.record_key = p.record_key"
    )
    return Step(f"{WORK}.{kind}_attributes", " union all ".join(parts))


def variants(ruleset: Ruleset) -> Step:
    """One text per record of what constrains it: records that differ in it must not be taken for one in a star of edges."""
    names = [
        name for name in (*ruleset.constraints.at_most_one, "open_case") if name not in ("legal_form", "generation")
    ]
    parts = " || '|' || ".join(
        f"coalesce(max(case when attribute = {text(name)} then value end), '')" for name in names
    )
    return Step(
        f"{WORK}.{ruleset.kind}_variants",
        f"select record_id, {parts} as variant from {WORK}.{ruleset.kind}_attributes where attribute in ({_texts(names)})"
        " group by record_id",
    )


def initial_clusters(kind: str, labels: str) -> Step:
    """record_id → cluster_id; a record without an edge is its own cluster."""
    return Step(
        f"{WORK}.{kind}_clusters",
        f"select r.record_id, coalesce(l.root, r.record_id) as cluster_id from {WORK}.{kind}_records as r"
        f" left join {labels} as l on l.node_id = r.record_id",
    )


def broken_clusters(kind: str, labels: str) -> str:
    """Query of clusters with two values of an attribute or a cannot-link pair inside."""
    return f"""
        select distinct cluster_id from (
            select l.root as cluster_id from {labels} as l
            join {WORK}.{kind}_attributes as a on a.record_id = l.node_id
            group by l.root, a.attribute having count(distinct a.value) > 1
            union all
            select l.root from {WORK}.{kind}_cannot_link as c
            join {labels} as l on l.node_id = c.left_id join {labels} as r on r.node_id = c.right_id
            where l.root = r.root
        ) as broken
    """


def crowded_clusters(kind: str, clusters: str, limit: int) -> Step:
    """Clusters with more records than the ruleset allows."""
    return Step(
        f"{WORK}.{kind}_crowded",
        f"select cluster_id, count(*) as records from {clusters} group by cluster_id having count(*) > {limit}",
    )


def joining_groups(ruleset: Ruleset, rule: MatchRule, *, edges: str, groups: str) -> Step:
    """The groups of clusters (node_id → root) that a rule `when_unambiguous` may join: nothing in them contradicts."""
    kind = ruleset.kind
    members = f"select g.root, g.node_id, c.record_id from {groups} as g join {WORK}.{kind}_clusters as c on c.cluster_id = g.node_id"
    contradictions = [
        f"select m.root from ({members}) as m join {WORK}.{kind}_attributes as a on a.record_id = m.record_id"
        " group by m.root, a.attribute having count(distinct a.value) > 1",
        f"select m.root from ({members}) as m group by m.root having count(*) > {ruleset.guards.cluster_size}",
        f"select l.root from {WORK}.{kind}_cannot_link as x join ({members}) as l on l.record_id = x.left_id"
        f" join ({members}) as r on r.record_id = x.right_id where l.root = r.root",
    ]
    fields = [name for name in rule.unless_conflict if name != "first_name"]
    if fields:
        contradictions.append(
            f"select m.root from ({members}) as m join {WORK}.{kind}_identifiers as i on i.record_id = m.record_id"
            f" where i.kind in ({_texts(fields)}) and (i.guard is null or i.guard = 'shared')"
            " group by m.root, i.kind having count(distinct m.node_id) > 1"
        )
    if "first_name" in rule.unless_conflict:
        contradictions.append(
            f"select m.root from ({members}) as m join {WORK}.{kind}_named as n on n.record_id = m.record_id"
            " where length(n.given) > 1 group by m.root having count(distinct n.given) > 1"
        )
    return Step(
        f"{groups}_joined",
        f"select node_id, root from {groups} where root not in ({' union all '.join(contradictions)})",
    )


def joined_clusters(kind: str, joined: str) -> Step:
    return Step(
        f"{WORK}.{kind}_clusters_next",
        f"select c.record_id, coalesce(j.root, c.cluster_id) as cluster_id from {WORK}.{kind}_clusters as c"
        f" left join {joined} as j on j.node_id = c.cluster_id",
    )


def _texts(values: Sequence[str]) -> str:
    return ", ".join(text(value) for value in values) or "''"
