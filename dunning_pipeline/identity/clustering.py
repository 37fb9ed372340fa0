"""From records to clusters: rules, decisions, constraints, quarantine; the same course on every engine."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections import defaultdict
from collections.abc import Mapping, Sequence

from dunning_pipeline.identity.constraints import Edge, split_cluster
from dunning_pipeline.identity.engine import Engine
from dunning_pipeline.identity.rulesets import MatchRule, Ruleset
from dunning_pipeline.identity.steps import blocks, guards, identifiers
from dunning_pipeline.identity.steps import clusters as steps
from dunning_pipeline.identity.steps import edges as rule_steps
from dunning_pipeline.identity.steps.components import connect
from dunning_pipeline.identity.steps.step import WORK, Step
from dunning_pipeline.identity.values.persons import nicknames
from dunning_pipeline.identity.values.words import LONGEST_VALUE

DECIDED = 0  # the strength of must-links; rules follow in their order


def describe_records(engine: Engine, ruleset: Ruleset) -> None:
    """Make `<kind>_identifiers`: the usable identifiers of the records, with guards; needs `<kind>_facts` and `_open_cases`."""
    kind = ruleset.kind
    engine.load(f"{WORK}.positions", [("n", "bigint")], [(n,) for n in range(1, LONGEST_VALUE + 1)])
    if kind == "account":
        engine.run(identifiers.account_names())
    else:
        engine.load(f"{WORK}.nicknames", [("a", "varchar"), ("b", "varchar")], nicknames())
        engine.run(identifiers.givens())
        engine.run(identifiers.mobile_numbers())
    limits = {name: limit for name, limit in ruleset.guards.names_per_value.items() if limit is not None}
    for name in guards.COUNTED[kind]:
        engine.run(guards.counted_values(kind, name))
    for step in (guards.shared_values(kind, limits), guards.household_values(kind), guards.guards(kind)):
        engine.run(step)
    guarded = {row[0] for row in engine.rows(f"select distinct kind from {WORK}.{kind}_guards")}
    engine.run(identifiers.identifiers(ruleset, guarded))


def cluster_records(engine: Engine, ruleset: Ruleset) -> None:
    """Make `<kind>_clusters` (record_id → cluster_id), `<kind>_sizes`, `_edges`, `_quarantined` and `_split`.

    Needs `describe_records`, `<kind>_must_link` and `<kind>_cannot_link` (left_id, right_id, decision_id).
    """
    kind = ruleset.kind
    labels = f"{WORK}.{kind}_labels"
    direct = [rule for rule in ruleset.merging if not rule.when_unambiguous]
    edges = _edges(engine, ruleset, direct, into=f"{WORK}.{kind}_edges")
    connect(engine, edges=edges, into=labels)
    _split_broken(engine, ruleset, labels)
    engine.run(steps.initial_clusters(kind, labels))
    joining = [rule for rule in ruleset.merging if rule.when_unambiguous]
    _open_blocks(engine, ruleset, [*joining, *ruleset.suggesting])
    for rule in joining:
        _join_where_one_fits(engine, ruleset, rule)
    if _quarantine(engine, ruleset):  # what was joined is apart again, and may meet in blocks that were closed
        _open_blocks(engine, ruleset, ruleset.suggesting)


def _edges(engine: Engine, ruleset: Ruleset, rules: list[MatchRule], *, into: str) -> str:
    kind = ruleset.kind
    decided = (
        f"select left_id, right_id, left_id as left_record, right_id as right_record, {DECIDED} as strength, true as is_same,"
        f" cast(decision_id as varchar) as note from {WORK}.{kind}_must_link"
    )
    members = {rule: blocks.members(ruleset, rule) for rule in rules}
    shared = {rule: step.table for rule, step in members.items() if engine.run(step)}
    found = _run_rules(engine, ruleset, shared, into=f"{into}_found")
    engine.run(Step(into, f"{decided} union all select * from {into}_found" if found else decided))
    engine.drop(f"{into}_found")
    return into


def _open_blocks(engine: Engine, ruleset: Ruleset, rules: Sequence[MatchRule]) -> None:
    """Make the tables of the blocks in which clusters meet, one for all rules of the same identifiers; nothing has moved since."""
    kind = ruleset.kind
    sharing: dict[tuple[str, ...], list[MatchRule]] = defaultdict(list)
    for rule in rules:
        sharing[rule.identifiers].append(rule)
    if rules:
        engine.run(steps.nodes(ruleset, rules))
    for alike in sharing.values():
        engine.run(blocks.open_blocks(ruleset, alike))
    engine.load(f"{WORK}.{kind}_moved", [("node_id", "bigint"), ("root", "bigint")], [])
    engine.drop(f"{WORK}.{kind}_nodes")


def _run_rules(
    engine: Engine, ruleset: Ruleset, members: Mapping[MatchRule, str], *, into: str, also_contradicting: bool = False
) -> bool:
    """Make the table of the edges of these rules among their members; false where no two records have what a rule needs."""
    found, compared = {}, []
    for rule, source in members.items():
        if not engine.run(rule_steps.groups(ruleset, rule, members=source)):
            continue
        found[rule] = source
        if engine.run(rule_steps.crowds(ruleset, rule)):
            ((most, met),) = engine.rows(rule_steps.crowding(ruleset, rule))
            for step in rule_steps.candidate_steps(ruleset, rule, most_names=most, names_met=met):
                engine.run(step)
            compared.append(rule)
    if compared:
        engine.run(rule_steps.pairs(ruleset, compared, into=into))
    if found:
        engine.run(rule_steps.edges(ruleset, found, compared, into=into, also_contradicting=also_contradicting))
    for rule in members:
        engine.drop(*(f"{blocks.stem(ruleset, rule)}_{part}" for part in rule_steps.PARTS))
    engine.drop(f"{into}_pairs")
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
    members = {rule: blocks.later_members(ruleset, rule, moved=moved)}
    if not _run_rules(engine, ruleset, members, into=table, also_contradicting=True):
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


def _quarantine(engine: Engine, ruleset: Ruleset) -> bool:
    """Records of over-full clusters stay single, whatever the rules say; whether there were any."""
    kind = ruleset.kind
    clusters = f"{WORK}.{kind}_clusters"
    engine.run(steps.sizes(kind))
    if not engine.run(steps.quarantined(kind, ruleset.guards.cluster_size)):
        return False
    single = (
        f"select c.record_id, case when q.record_id is null then c.cluster_id else c.record_id end as cluster_id"
        f" from {clusters} as c left join {WORK}.{kind}_quarantined as q on q.record_id = c.record_id"
    )
    engine.run(Step(f"{clusters}_next", single))
    engine.rename(f"{clusters}_next", clusters)
    engine.run(steps.sizes(kind))
    return True


def suggest(engine: Engine, ruleset: Ruleset) -> None:
    """Make `<kind>_candidates`: edges of the rules that only suggest, between different clusters."""
    kind, rules = ruleset.kind, ruleset.suggesting
    into = f"{WORK}.{kind}_candidates"
    members = {rule: blocks.later_members(ruleset, rule, moved=f"{WORK}.{kind}_moved") for rule in rules}
    if not _run_rules(engine, ruleset, members, into=into):
        engine.run(Step(into, f"select * from {WORK}.{kind}_edges where false"))
