"""Connected components by min-neighbour contraction and pointer jumping: a chain of n links takes log n rounds."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from dunning_pipeline.identity.constraints import Groups
from dunning_pipeline.identity.engine import Engine
from dunning_pipeline.identity.steps.step import Step

HOOKS = [("node_id", "bigint"), ("root", "bigint")]
FEW_EDGES = 3_000  # so many are connected here sooner than the database starts its rounds
FEW_NODES, FEW_NODES_OF_LONG_PATHS = 25_000, 100_000  # of so many the paths are followed here


def connect(engine: Engine, *, edges: str, into: str) -> int:
    """Make `into` (node_id, root) for every node of `edges` (left_id, right_id); root = the least node connected to it.

    Each round hooks every node to its least neighbour, shortens the paths to their ends, and keeps only the edges that
    still join two roots; the number of roots at least halves per round, and the last few are joined at once. Returns
    the number of nodes.
    """
    current = f"{into}_edges"
    remaining = engine.run(Step(current, f"select distinct left_id, right_id from {edges} where left_id <> right_id"))
    nodes = engine.run(_first_labels(edges, into))
    while remaining:
        if is_last := remaining <= FEW_EDGES:
            _connect_few(engine, current, f"{into}_hooks")
        else:
            hooked = engine.run(_hooks(current, f"{into}_hooks"))
            _jump(engine, f"{into}_hooks", nodes=hooked)
        nodes = engine.run(Step(f"{into}_next", _relabelled(into, f"{into}_hooks")))
        engine.rename(f"{into}_next", into)
        if is_last:
            break
        remaining = engine.run(Step(f"{current}_next", _contracted(current, f"{into}_hooks")))
        engine.rename(f"{current}_next", current)
    engine.drop(current, f"{into}_hooks", f"{into}_hooks_next")
    return nodes


def _connect_few(engine: Engine, edges: str, into: str) -> None:
    pairs = engine.rows(f"select left_id, right_id from {edges}")
    groups = Groups({node for pair in pairs for node in pair})
    for left, right in pairs:
        groups.join(left, right)
    engine.load(into, HOOKS, [(node, groups.root(node)) for node in groups.parent])


def _first_labels(edges: str, into: str) -> Step:
    return Step(
        into,
        f"select node_id, node_id as root from (select left_id as node_id from {edges} union select right_id from {edges}) as n",
    )


def _hooks(edges: str, into: str) -> Step:
    both = f"select left_id as node_id, right_id as other from {edges} union all select right_id, left_id from {edges}"
    return Step(into, f"select node_id, least(node_id, min(other)) as root from ({both}) as b group by node_id")


def _jump(engine: Engine, hooks: str, *, nodes: int) -> None:
    """Point every hook at the end of its path; each time leaves a quarter of the paths' length."""
    few = FEW_NODES
    while True:
        if nodes <= few:
            _follow_paths(engine, hooks)
            return
        engine.run(
            Step(
                f"{hooks}_next",
                f"select h.node_id, q.root, case when q.root <> h.root then 1 else 0 end as moved"
                f" from {hooks} as h join {hooks} as p on p.node_id = h.root join {hooks} as q on q.node_id = p.root",
            )
        )
        moved = engine.rows(f"select coalesce(sum(moved), 0) from {hooks}_next")[0][0]
        if not moved:
            return
        engine.run(Step(hooks, f"select node_id, root from {hooks}_next"))
        few = FEW_NODES_OF_LONG_PATHS


def _follow_paths(engine: Engine, hooks: str) -> None:
    ends: dict[int, int] = {}
    # a hook leads to a lesser node, whose end is known by then
    for node, root in engine.rows(f"select node_id, root from {hooks} order by node_id"):
        ends[node] = ends.get(root, root)
    engine.load(hooks, HOOKS, list(ends.items()))


def _relabelled(labels: str, hooks: str) -> str:
    return f"select l.node_id, coalesce(h.root, l.root) as root from {labels} as l left join {hooks} as h on h.node_id = l.root"


def _contracted(edges: str, hooks: str) -> str:
    return (
        f"select distinct l.root as left_id, r.root as right_id from {edges} as e"
        f" join {hooks} as l on l.node_id = e.left_id join {hooks} as r on r.node_id = e.right_id where l.root <> r.root"
    )
