"""From records to clusters: rules, decisions, constraints, quarantine; the same course on every engine."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections import defaultdict

from dunning_pipeline.identity.constraints import Edge, split_cluster
from dunning_pipeline.identity.engine import Engine
from dunning_pipeline.identity.rulesets import MatchRule, Ruleset
from dunning_pipeline.identity.steps import clusters as steps
from dunning_pipeline.identity.steps import edges as rule_steps
from dunning_pipeline.identity.steps import guards, identifiers
from dunning_pipeline.identity.steps.components import connect
from dunning_pipeline.identity.steps.step import WORK, Step
from dunning_pipeline.identity.values.persons import nicknames
from dunning_pipeline.identity.values.words import LONGEST_VALUE

DECIDED = 0  # the strength of must-links; rules follow in their order


def describe_records(engine: Engine, ruleset: Ruleset) -> None:
    """Make `<kind>_identifiers`: the usable identifiers of the records, with guards; needs `<kind>_facts` and `_open_cases`."""
    kind = ruleset.kind
    engine.load(f"{WORK}.positions", [("n", "bigint")], [(n,) for n in range(1, LONGEST_VALUE + 1)])
    engine.run(identifiers.names(kind))
    if kind == "individual":
        engine.load(f"{WORK}.nicknames", [("a", "varchar"), ("b", "varchar")], nicknames())
        engine.run(identifiers.givens())
        engine.run(identifiers.mobile_numbers())
    limits = {name: limit for name, limit in ruleset.guards.names_per_value.items() if limit is not None}
    for name in guards.COUNTED[kind]:
        engine.run(guards.counted_values(kind, name))
    for step in (guards.shared_values(kind, limits), guards.household_values(kind), guards.guards(kind)):
        engine.run(step)
    for step in (*identifiers.numbers(kind), identifiers.variants(ruleset)):
        engine.run(step)
    guarded = {row[0] for row in engine.rows(f"select distinct kind from {WORK}.{kind}_guards")}
    engine.run(identifiers.identifiers(ruleset, guarded))


def cluster_records(engine: Engine, ruleset: Ruleset) -> None:
    """Make `<kind>_clusters` (record_id → cluster_id), `<kind>_edges`, `<kind>_quarantined` and `<kind>_split`.

    Needs `describe_records`, `<kind>_must_link` and `<kind>_cannot_link` (left_id, right_id, decision_id).
    """
    kind = ruleset.kind
    labels = f"{WORK}.{kind}_labels"
    direct = [rule for rule in ruleset.merging if not rule.when_unambiguous]
    edges = _edges(engine, ruleset, direct, into=f"{WORK}.{kind}_edges")
    connect(engine, edges=edges, into=labels)
    _split_broken(engine, ruleset, labels)
    engine.run(steps.initial_clusters(kind, labels))
    if joining := [rule for rule in ruleset.merging if rule.when_unambiguous]:
        engine.run(steps.nodes(ruleset, joining))
        engine.load(f"{WORK}.{kind}_moved", [("node_id", "bigint"), ("root", "bigint")], [])
        for rule in joining:
            _join_where_one_fits(engine, ruleset, rule)
    _quarantine(engine, ruleset)


def _edges(engine: Engine, ruleset: Ruleset, rules: list[MatchRule], *, into: str) -> str:
    kind = ruleset.kind
    decided = (
        f"select left_id, right_id, left_id as left_record, right_id as right_record, {DECIDED} as strength, true as is_same,"
        f" cast(decision_id as varchar) as note from {WORK}.{kind}_must_link"
    )
    found = _run_rules(engine, ruleset, rules, records=steps.single_records(kind), into=f"{into}_found")
    engine.run(Step(into, f"{decided} union all select * from {into}_found" if found else decided))
    engine.drop(f"{into}_found")
    return into


def _run_rules(
    engine: Engine,
    ruleset: Ruleset,
    rules: list[MatchRule],
    *,
    records: str,
    into: str,
    moved: str | None = None,
    also_contradicting: bool = False,
) -> bool:
    """Make the table of the edges of these rules; false where no two records have what a rule needs."""
    found = []
    for rule in rules:
        members = rule_steps.members(ruleset, rule, records=records, moved=moved)
        if not engine.run(members):
            engine.drop(members.table)
            continue
        rows = 0
        for step in rule_steps.block_steps(ruleset, rule):
            rows = engine.run(step)
        engine.run(rule_steps.candidates(ruleset, rule, some_large=rows > 0))
        found.append(rule)
    if found:
        engine.run(rule_steps.pairs(ruleset, found, into=into))
        engine.run(rule_steps.edges(ruleset, found, into=into, also_contradicting=also_contradicting))
        engine.drop(f"{into}_pairs")
    for rule in found:
        engine.drop(*(f"{rule_steps.stem(ruleset, rule)}_{part}" for part in rule_steps.PARTS))
    return bool(found)


def _split_broken(engine: Engine, ruleset: Ruleset, labels: str) -> None:
    """Replace the labels of clusters that break a constraint; `<kind>_split` keeps which they were."""
    kind = ruleset.kind
    broken = f"{WORK}.{kind}_split"
    engine.run(Step(broken, steps.broken_clusters(ruleset, labels)))
    members: dict[int, list[int]] = defaultdict(list)
    for record, cluster in engine.rows(
        f"select l.node_id, l.root from {labels} as l join {broken} as b on b.cluster_id = l.root order by 1"
    ):
        members[cluster].append(record)
    if not members:
        return
    relabelled = [(record, min(part)) for part in _parts(engine, ruleset, labels, members) for record in part]
    engine.load(f"{labels}_fixed", [("node_id", "bigint"), ("root", "bigint")], relabelled)
    fixed = f"select l.node_id, coalesce(f.root, l.root) as root from {labels} as l left join {labels}_fixed as f on f.node_id = l.node_id"
    engine.run(Step(f"{labels}_next", fixed))
    engine.rename(f"{labels}_next", labels)
    engine.drop(f"{labels}_fixed")


def _parts(engine: Engine, ruleset: Ruleset, labels: str, members: dict[int, list[int]]) -> list[list[int]]:
    kind = ruleset.kind
    edges: dict[int, list[Edge]] = defaultdict(list)
    values: dict[int, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    apart: dict[int, list[tuple[int, int]]] = defaultdict(list)
    broken = f"join {WORK}.{kind}_split as b on b.cluster_id = l.root"
    for cluster, left, right, strength in engine.rows(
        f"select l.root, e.left_id, e.right_id, e.strength from {WORK}.{kind}_edges as e join {labels} as l on l.node_id = e.left_id {broken}"
    ):
        edges[cluster].append(Edge(left, right, strength))
    for cluster, record, name, value in engine.rows(steps.attributes_of(ruleset, labels, f"{WORK}.{kind}_split")):
        values[cluster][name][record] = value
    for cluster, left, right in engine.rows(
        f"select l.root, c.left_id, c.right_id from {WORK}.{kind}_cannot_link as c join {labels} as l on l.node_id = c.left_id {broken}"
    ):
        apart[cluster].append((left, right))
    order = (*ruleset.constraints.at_most_one, "open_case")
    return [
        part
        for cluster, records in members.items()
        for part in split_cluster(
            records,
            sorted(edges[cluster]),
            {name: values[cluster][name] for name in order if name in values[cluster]},
            apart[cluster],
        )
    ]


def _join_where_one_fits(engine: Engine, ruleset: Ruleset, rule: MatchRule) -> None:
    kind = ruleset.kind
    groups, moved, table = (f"{WORK}.{kind}_{name}" for name in ("groups", "moved", "fitting"))
    records = f"{WORK}.{kind}_nodes"
    if not _run_rules(engine, ruleset, [rule], records=records, into=table, moved=moved, also_contradicting=True):
        return
    connect(engine, edges=table, into=groups)
    engine.run(steps.group_members(ruleset, rule, groups=groups))
    joined = steps.joining_groups(ruleset, rule, groups=groups)
    if engine.run(joined):
        engine.append(
            Step(
                f"{WORK}.{kind}_edges",
                f"select e.* from {table} as e join {joined.table} as j on j.node_id = e.left_id",
            )
        )
        for step in (steps.joined_clusters(kind, joined.table), steps.moved_nodes(kind, joined.table)):
            engine.run(step)
            engine.rename(step.table, step.table.removesuffix("_next"))
    engine.drop(groups, f"{groups}_members", joined.table, table)


def _quarantine(engine: Engine, ruleset: Ruleset) -> None:
    """Records of over-full clusters stay single, whatever the rules say."""
    kind = ruleset.kind
    clusters, crowded = f"{WORK}.{kind}_clusters", f"{WORK}.{kind}_crowded"
    found = engine.run(steps.crowded_clusters(kind, clusters, ruleset.guards.cluster_size))
    engine.run(
        Step(
            f"{WORK}.{kind}_quarantined",
            f"select c.record_id, c.cluster_id, q.records from {clusters} as c join {crowded} as q on q.cluster_id = c.cluster_id",
        )
    )
    if found:
        single = (
            f"select c.record_id, case when q.record_id is null then c.cluster_id else c.record_id end as cluster_id"
            f" from {clusters} as c left join {WORK}.{kind}_quarantined as q on q.record_id = c.record_id"
        )
        engine.run(Step(f"{clusters}_next", single))
        engine.rename(f"{clusters}_next", clusters)
    engine.drop(crowded)


def suggest(engine: Engine, ruleset: Ruleset) -> list[str]:
    """Make `<kind>_candidates`: edges of the rules that only suggest, between different clusters; the rules run."""
    kind, rules = ruleset.kind, list(ruleset.suggesting)
    into = f"{WORK}.{kind}_candidates"
    if rules:
        engine.run(steps.nodes(ruleset, rules))
    if not rules or not _run_rules(engine, ruleset, rules, records=f"{WORK}.{kind}_nodes", into=into):
        engine.run(Step(into, f"select * from {WORK}.{kind}_edges where false"))
    return [rule.rule for rule in rules]
