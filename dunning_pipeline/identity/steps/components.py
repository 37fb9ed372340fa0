"""Connected components by min-neighbour contraction and pointer jumping: a chain of n links takes log n rounds."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from dunning_pipeline.identity.constraints import Groups
from dunning_pipeline.identity.engine import Engine
from dunning_pipeline.identity.steps.step import Step

HOOKS = [("node_id", "bigint"), ("root", "bigint")]
FEW_EDGES = 3_000  # so many are connected here sooner than the database starts its rounds
FEW_NODES, FEW_ON_LONG_PATHS = 25_000, 30_000  # of so many the paths are followed here


def connect(engine: Engine, *, edges: str, into: str) -> int:
    """Make `into` (node_id, root) for every node that `edges` (left_id, right_id) join to another; root = the least node connected to it.

    Each round hooks every node to its least neighbour, shortens the paths to their ends, and keeps only the edges that
    still join two roots; the number of roots at least halves per round, and the last few are joined at once. Returns
    the number of nodes.
    """
    current, hooks, nodes = edges, f"{into}_hooks", 0
    remaining = engine.rows(f"select count(*) from {edges}")[0][0]
    engine.load(into, HOOKS, [])
    while remaining:
        if is_last := remaining <= FEW_EDGES:
            _connect_few(engine, current, hooks)
        else:
            _jump(engine, hooks, nodes=engine.run(_hooks(current, hooks)))
        if nodes:
            engine.run(Step(f"{into}_next", _relabelled(into, hooks)))
            engine.rename(f"{into}_next", into)
        else:
            nodes = engine.run(Step(into, f"select node_id, root from {hooks}"))
        if is_last:
            break
        remaining = engine.run(Step(f"{into}_edges_next", _contracted(current, hooks)))
        current = f"{into}_edges"
        engine.rename(f"{current}_next", current)
    engine.drop(f"{into}_edges", hooks, f"{hooks}_next")
    return nodes


def _connect_few(engine: Engine, edges: str, into: str) -> None:
    pairs = engine.rows(f"select left_id, right_id from {edges}")
    groups = Groups({node for pair in pairs for node in pair})
    for left, right in pairs:
        groups.join(left, right)
    engine.load(into, HOOKS, [(node, groups.root(node)) for node in groups.parent])


def _hooks(edges: str, into: str) -> Step:
    both = f"select left_id as node_id, right_id as other from {edges} union all select right_id, left_id from {edges}"
    return Step(into, f"select node_id, least(node_id, min(other)) as root from ({both}) as b group by node_id")


def _jump(engine: Engine, hooks: str, *, nodes: int) -> None:
    """Point every hook at the end of its path; each time halves the paths, and the last of them are followed here."""
    if nodes <= FEW_NODES:
        _load_ends(engine, hooks, f"select node_id, root from {hooks}")
        return
    longer = f"{hooks}_next"
    while True:
        engine.run(
            Step(
                longer,
                f"select h.node_id, p.root, case when p.root <> h.root then 1 else 0 end as moved"
                f" from {hooks} as h join {hooks} as p on p.node_id = h.root",
            )
        )
        moved = engine.rows(f"select coalesce(sum(moved), 0) from {longer}")[0][0]
        if not moved:
            return
        if moved <= FEW_ON_LONG_PATHS:
            break
        engine.run(Step(hooks, f"select node_id, root from {longer}"))
    on_the_way = (
        f"select node_id, root from {longer} where moved = 1 or node_id in (select root from {longer} where moved = 1)"
    )
    _load_ends(engine, f"{hooks}_ends", on_the_way)
    ended = f"select n.node_id, coalesce(e.root, n.root) as root from {longer} as n left join {hooks}_ends as e on e.node_id = n.node_id"
    engine.run(Step(hooks, ended))
    engine.drop(f"{hooks}_ends")


def _load_ends(engine: Engine, into: str, hooks: str) -> None:
    ends: dict[int, int] = {}
    # a hook leads to a lesser node, whose end is known by then
    for node, root in sorted(engine.rows(hooks)):
        ends[node] = ends.get(root, root)
    engine.load(into, HOOKS, list(ends.items()))


def _relabelled(labels: str, hooks: str) -> str:
    return f"select l.node_id, coalesce(h.root, l.root) as root from {labels} as l left join {hooks} as h on h.node_id = l.root"


def _contracted(edges: str, hooks: str) -> str:
    return (
        f"select distinct l.root as left_id, r.root as right_id from {edges} as e"
        f" join {hooks} as l on l.node_id = e.left_id join {hooks} as r on r.node_id = e.right_id where l.root <> r.root"
    )
