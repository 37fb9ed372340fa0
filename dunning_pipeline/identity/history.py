"""What outlives the warehouse: ids and their events, decisions and pins come out of the ledger, and go back into it."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import hashlib
from datetime import UTC, datetime
from typing import Any

from dunning_pipeline.identity.decisions import follow_renamed, standing_decisions
from dunning_pipeline.identity.engine import DuckDBEngine
from dunning_pipeline.identity.steps import stable_ids
from dunning_pipeline.identity.steps.step import WORK, Step, text
from dunning_pipeline.sql_models.shapes import columns_of, table_exists

OPEN_CASE_DAYS = 180  # a statement closed longer ago no longer pins its profile
EVENTS = [
    ("run_id", "varchar"),
    ("event", "varchar"),
    ("old_id", "varchar"),
    ("new_id", "varchar"),
    ("shared", "bigint"),
    ("event_at", "varchar"),
]


def load_history(engine: DuckDBEngine, kind: str, ledger: Any) -> None:
    """Make `<kind>_previous`, `_used_ids`, `_past_events`, `_carried`, `_open_cases`, `_must_link`, `_cannot_link`, `_rekeyed`."""
    known = _load_ids(engine, kind, ledger)
    carried = engine.run(stable_ids.carried(kind))
    engine.run(_open_cases(engine, kind))
    engine.drop(f"identity.{kind}_marks")  # of an earlier version, which kept them apart
    some_arrived = carried < engine.rows(f"select count(*) from {WORK}.{kind}_records")[0][0]
    if some_arrived and carried < known and "mark" in columns_of(engine.con, "identity", f"{kind}_links"):
        engine.run(stable_ids.rekeyed(kind))
        if ledger is not None:
            _follow_renamed(engine, kind, ledger)
    else:
        engine.load(f"{WORK}.{kind}_rekeyed", [("record_id", "bigint"), ("unified_id", "varchar")], [])
    _load_decisions(engine, kind, ledger)


def _follow_renamed(engine: DuckDBEngine, kind: str, ledger: Any) -> None:
    """What people decided about a record whose source calls it something else now, they decided about that one."""
    renamed = engine.rows(f"select old_key, new_key from {WORK}.{kind}_rekeyed")
    if renamed:
        ((now,),) = engine.rows(f"select now from {WORK}.clock")
        follow_renamed(ledger, kind, dict(renamed), at=now.replace(tzinfo=UTC))


def _load_ids(engine: DuckDBEngine, kind: str, ledger: Any) -> int:
    """Make `_previous`, `_past_events` and `_used_ids`; the number of records known before."""
    previous, past = f"{WORK}.{kind}_previous", f"{WORK}.{kind}_past_events"
    if table_exists(engine.con, "ops", "unified_ids") and table_exists(engine.con, "ops", "unified_id_events"):
        engine.run(Step(previous, f"select record_key, unified_id from ops.unified_ids where kind = {text(kind)}"))
        columns = 'run_id, event, old_id, new_id, cast(0 as bigint) as shared, cast("at" as varchar) as event_at'
        engine.run(Step(past, f"select {columns} from ops.unified_id_events where kind = {text(kind)}"))
    elif ledger is not None:
        ids, events = _read_ledger(ledger, kind)
        engine.load(previous, [("record_key", "varchar"), ("unified_id", "varchar")], ids)
        engine.load(past, EVENTS, events)
    else:
        known = table_exists(engine.con, "identity", f"{kind}_links")
        source = f"select record_key, unified_{kind}_id as unified_id from identity.{kind}_links"
        empty = "select cast(null as varchar) as record_key, cast(null as varchar) as unified_id where false"
        engine.run(Step(previous, source if known else empty))
        engine.load(past, EVENTS, [])
    engine.run(
        Step(
            f"{WORK}.{kind}_used_ids",
            f"select unified_id from {previous} union select old_id from {past} where old_id is not null"
            f" union select new_id from {past} where new_id is not null",
        )
    )
    return int(engine.rows(f"select count(*) from {previous}")[0][0])


def _read_ledger(ledger: Any, kind: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    from sqlalchemy import select

    from dunning_pipeline.ledger.engine import reading
    from dunning_pipeline.ledger.schema import unified_id_events, unified_ids

    ids = select(unified_ids.c.record_key, unified_ids.c.unified_id).where(unified_ids.c.kind == kind)
    e = unified_id_events.c
    events = select(e.run_id, e.event, e.old_id, e.new_id, e.at).where(e.kind == kind)
    with reading(ledger) as connection:
        return (
            [tuple(row) for row in connection.execute(ids)],
            [(r.run_id, r.event, r.old_id, r.new_id, 0, str(r.at)) for r in connection.execute(events)],
        )


def _open_cases(engine: DuckDBEngine, kind: str) -> Step:
    """Records whose profile has an open case (`open_case` = its id): a draft, or a statement closed in the last months."""
    table = f"{WORK}.{kind}_open_cases"
    if kind != "account" or not table_exists(engine.con, "ops", "statements"):
        return Step(table, "select cast(null as bigint) as record_id, cast(null as varchar) as open_case where false")
    return Step(
        table,
        f"select c.record_id, c.unified_id as open_case from {WORK}.{kind}_carried as c where c.unified_id in ("
        f" select s.unified_account_id from ops.statements as s, {WORK}.clock as k where s.kind = 'dunning' and"
        f" (s.status = 'draft' or (s.status = 'closed' and cast(s.dunning_date as date) >= k.current_day - {OPEN_CASE_DAYS})))",
    )


def _load_decisions(engine: DuckDBEngine, kind: str, ledger: Any) -> None:
    """People's pairs as record numbers; a decision about a record that is not there waits for it to come back."""
    decided = standing_decisions(ledger, kind) if ledger is not None else []
    pairs = f"{WORK}.{kind}_decided"
    engine.load(pairs, [(name, "varchar") for name in ("verdict", "left_key", "right_key", "decision_id")], decided)
    for verdict in ("must_link", "cannot_link"):
        engine.run(
            Step(
                f"{WORK}.{kind}_{verdict}",
                f"select l.record_id as left_id, r.record_id as right_id, d.decision_id from {pairs} as d"
                f" join {WORK}.{kind}_records as l on l.record_key = d.left_key"
                f" join {WORK}.{kind}_records as r on r.record_key = d.right_key where d.verdict = {text(verdict)}",
            )
        )


def save_history(engine: DuckDBEngine, kind: str, ledger: Any, *, run_id: str, now: datetime) -> dict[str, int]:
    """Make `<kind>_all_events` and `<kind>_redirects`; write changed ids, events and findings to the ledger. Counts."""
    at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    fresh = f"select {text(run_id)} as run_id, event, old_id, new_id, shared, {text(at)} as event_at from {WORK}.{kind}_events"
    engine.run(Step(f"{WORK}.{kind}_all_events", f"select * from {WORK}.{kind}_past_events union all {fresh}"))
    engine.run(_redirects(kind))
    counted = engine.rows(f"select event, count(*) from ({fresh}) as f group by event")
    counts = {f"ids_{event}": int(number) for event, number in counted}
    moved = engine.rows(
        f"select count(*) from {WORK}.{kind}_profiles as p join {WORK}.{kind}_carried as o on o.record_id = p.record_id"
        " where o.unified_id <> p.unified_id"
    )
    counts["records_with_another_id"] = int(moved[0][0])
    if ledger is not None:
        _write_ledger(engine, kind, ledger, run_id, at, engine.rows(fresh), now)
    return counts


def _redirects(kind: str) -> Step:
    """Merged ids and where they lead today, over several merges."""
    sql = f"""
        with recursive merges as (
            select old_id, arg_max(new_id, event_at) as new_id from {WORK}.{kind}_all_events where event = 'merge' group by old_id
        ),
        paths as (
            select old_id, new_id, 1 as steps from merges
            union all
            select p.old_id, m.new_id, p.steps + 1 from paths as p join merges as m on m.old_id = p.new_id where p.steps < 50
        )
        select old_id, arg_max(new_id, steps) as new_id from paths group by old_id
    """
    return Step(f"{WORK}.{kind}_redirects", sql)


def _write_ledger(
    engine: DuckDBEngine, kind: str, ledger: Any, run_id: str, at: str, events: list[tuple[Any, ...]], now: datetime
) -> None:
    from dunning_pipeline.ledger.bulk import chunks, insert_many, insert_stored
    from dunning_pipeline.ledger.schema import unified_id_events, unified_ids

    changed = (
        f"from {WORK}.{kind}_profiles as p join {WORK}.{kind}_records as r on r.record_id = p.record_id"
        f" left join {WORK}.{kind}_carried as c on c.record_id = p.record_id where"
    )
    stale = engine.rows(
        f"select p.record_key from {WORK}.{kind}_previous as p left join {WORK}.{kind}_records as r on r.record_key = p.record_key"
        f" where r.record_key is null union all select r.record_key {changed} c.unified_id <> p.unified_id"
    )
    for chunk in chunks([row[0] for row in stale], 500):
        with ledger.begin() as connection:
            connection.execute(
                unified_ids.delete().where(unified_ids.c.kind == kind, unified_ids.c.record_key.in_(chunk))
            )
    fresh = engine.rows(
        f"select r.record_key, p.unified_id {changed} c.unified_id is null or c.unified_id <> p.unified_id"
    )
    for part in chunks([(kind, key, unified_id, run_id) for key, unified_id in fresh]):
        with ledger.begin() as connection:
            # a build that failed after this point may have written some of them already
            keys = unified_ids.c.record_key.in_([row[1] for row in part])
            connection.execute(unified_ids.delete().where(unified_ids.c.kind == kind, keys))
            insert_stored(connection, unified_ids, ("kind", "record_key", "unified_id", "since_run"), part)
    rows = [
        (hashlib.sha256(f"{run}|{kind}|{event}|{old}|{new}".encode()).hexdigest()[:24], run, kind, event, old, new,
         f'{{"shared_records":{shared}}}', at)
        for run, event, old, new, shared, _ in events
    ]  # fmt: skip
    insert_many(
        ledger, unified_id_events, ("event_id", "run_id", "kind", "event", "old_id", "new_id", "reason", "at"), rows
    )
    _raise_findings(engine, kind, ledger, now)


def _raise_findings(engine: DuckDBEngine, kind: str, ledger: Any, now: datetime) -> None:
    from dunning_pipeline.ledger.findings import raise_finding

    crowded = engine.rows(
        f"select min(r.record_key), q.records from {WORK}.{kind}_quarantined as q"
        f" join {WORK}.{kind}_records as r on r.record_id = q.record_id group by q.cluster_id, q.records order by 1"
    )
    with ledger.begin() as connection:
        for first, number in crowded:
            raise_finding(
                connection, kind="identity_quarantine", object_kind=kind, object_id=first, severity="warning",
                message=f"{number} {kind} records would become one profile; they stay apart until the rules or the data are corrected",
                detail={"records": number}, at=now,
            )  # fmt: skip
