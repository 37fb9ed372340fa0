"""Carries unified ids over runs: by largest overlap, profiles with open cases first; ids are never used twice."""

from collections.abc import Iterable, Mapping

from dunning_pipeline.errors import Refused
from dunning_pipeline.identity.engine import Engine
from dunning_pipeline.identity.steps import stable_ids as steps
from dunning_pipeline.identity.steps.step import WORK, Step

ATTEMPTS = 5


def assign_ids(engine: Engine, kind: str, *, run_id: str) -> None:
    """Make `<kind>_profiles` and `<kind>_events`; needs `<kind>_carried`, `<kind>_used_ids`, `<kind>_open_cases`.

    Raises Refused if fresh ids keep colliding with used ones (a run id that was used before with other data).
    """
    engine.run(steps.overlaps(kind))
    engine.run(steps.uncontested(kind))
    contested = engine.rows(
        f"select cluster_id, old_id, shared from {WORK}.{kind}_overlaps"
        f" where cluster_id not in (select cluster_id from {WORK}.{kind}_kept) order by 1, 2"
    )
    pinned = (
        {row[0] for row in engine.rows(f"select distinct open_case from {WORK}.{kind}_open_cases")}
        if contested
        else set()
    )
    won = settle(contested, pinned)
    engine.load(f"{WORK}.{kind}_won", [("cluster_id", "bigint"), ("unified_id", "varchar")], sorted(won.items()))
    engine.run(
        Step(f"{WORK}.{kind}_kept_all", f"select * from {WORK}.{kind}_kept union all select * from {WORK}.{kind}_won")
    )
    engine.rename(f"{WORK}.{kind}_kept_all", f"{WORK}.{kind}_kept")
    _mint(engine, kind, run_id)
    engine.run(steps.profiles(kind))
    is_first = not engine.rows(f"select 1 from {WORK}.{kind}_previous limit 1")
    engine.run(steps.events(kind, is_first=is_first))
    engine.drop(f"{WORK}.{kind}_won")


def settle(contested: Iterable[tuple[int, str, int]], pinned: Iterable[str] = ()) -> Mapping[int, str]:
    """cluster → old id, each used once: the largest overlap takes first, ids with open cases before all others.

    `contested` rows are (cluster, old id, shared records); equal overlaps go to the lower id and cluster.
    """
    first = set(pinned)
    taken: dict[int, str] = {}
    used: set[str] = set()
    for cluster, old_id, _ in sorted(contested, key=lambda row: (row[1] not in first, -row[2], row[1], row[0])):
        if cluster not in taken and old_id not in used:
            taken[cluster] = old_id
            used.add(old_id)
    return taken


def _mint(engine: Engine, kind: str, run_id: str) -> None:
    for salt in range(ATTEMPTS):
        made = engine.run(steps.minted(kind, run_id, salt))
        clashes = engine.rows(
            f"select count(*) - count(distinct unified_id) from {WORK}.{kind}_minted union all"
            f" select count(*) from {WORK}.{kind}_minted where unified_id in"
            f" (select unified_id from {WORK}.{kind}_used_ids union all select unified_id from {WORK}.{kind}_kept)"
        )
        if not made or not any(row[0] for row in clashes):
            return
    raise Refused(
        f"{ATTEMPTS} sets of new unified ids all held one that was used before",
        remedy="start the build again: it gets a new run id",
    )
