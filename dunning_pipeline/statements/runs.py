"""One dunning run: decide, draft, and record what was decided; repeating it changes nothing."""

from collections.abc import Callable, Container, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from hashlib import sha256
from typing import Any

import orjson
import pyarrow.compute
import pyarrow.parquet
from sqlalchemy import Engine, func, select, update

from dunning_pipeline.dunning.decision import Decision, Scope, decide
from dunning_pipeline.errors import NotThere, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.bulk import chunks
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.leases import hold
from dunning_pipeline.ledger.schema import findings, item_levels, process_versions, runs, statements
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.letters.paper.fonts import not_drawn
from dunning_pipeline.settings.scratch import drop_unfinished
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.assigning import store_assignments
from dunning_pipeline.statements.booking.charges import waive
from dunning_pipeline.statements.drafting.drafts import DraftCounts, remove_drafts, store_drafts
from dunning_pipeline.statements.drafting.proposals import Proposals

Progress = Callable[[str, int, int], None]
LEASE = "dunning run"
NOT_OWED = ("nothing_open", "not_due", "not_posted", "not_yet_issued", "voided", "cancelled", "written_off")
FOUND_BY_RUNS = (
    "duplicate_invoice", "process_unknown", "unknown_currency", "rate_missing", "account_unknown",
    "interest_law_unknown", "interest_rate_unknown", "due_before_invoice", "balance_differs",
    "statement_held", "invalid_copy_address", "entity_not_declared",
    "letters_not_drawn",
)  # fmt: skip


@dataclass(frozen=True)
class RunReport:
    """What a run did. `statement_ids` are all that it proposes, those that were drafts already included."""

    run_id: str
    dunning_date: date
    is_replay: bool
    counts: dict[str, int] = field(default_factory=dict)
    statement_ids: list[str] = field(default_factory=list)
    proposals: list[dict[str, Any]] = field(default_factory=list)  # of a replay: nothing is stored
    left_out: dict[str, int] = field(default_factory=dict)  # reason → items that are owed and not dunned, most first


def run(
    ws: Workspace,
    *,
    dunning_date: date,
    now: datetime,
    scope: Scope | None = None,
    actor: str,
    replay: bool = False,
    progress: Progress | None = None,
) -> RunReport:
    """Decide as of `dunning_date` and bring the open drafts of the scope in line with it.

    The run of a date and scope has one id: a repeated run is the same run. Raises Busy while another run goes on,
    Refused for a date before the last closed run or the last reminder that left. `replay` decides, returns the
    proposals and writes nothing.
    """
    scope = scope or Scope()
    run_id = run_id_of(dunning_date, scope)
    if replay:
        decision = decide(ws, dunning_date=dunning_date, scope=scope)
        rows = decision.statements.to_pylist()
        return RunReport(run_id, dunning_date, True, {"proposed": len(rows)}, [], rows, _left_out(decision.decisions))
    engine = open_ledger(ws)
    with hold(engine, LEASE):
        _refuse_going_back(engine, dunning_date, scope)
        _start(engine, run_id, dunning_date, scope, now=now, actor=actor)
        try:
            _say(progress, "deciding")
            decision = decide(ws, dunning_date=dunning_date, scope=scope)
            _keep_decisions(ws, run_id, decision)
            report = _apply(ws, run_id, dunning_date, scope, decision, now=now, actor=actor, progress=progress)
        except BaseException as error:
            _finish(engine, run_id, status="failed", now=now, error=f"{type(error).__name__}: {error}")
            raise
        _finish(engine, run_id, status="done", now=now, counts=report.counts, decision=decision)
    return report


def run_id_of(dunning_date: date, scope: Scope) -> str:
    """The id of the run of a date and scope: readable, and the same when it is repeated."""
    kind = _kind(scope)
    narrowed = {name: value for name, value in asdict(scope).items() if value and name != "kind"}
    tail = f"-{sha256(canonical_json(narrowed).encode()).hexdigest()[:8]}" if narrowed else ""
    return f"{dunning_date.isoformat()}-{kind}{tail}"


def delete_run(ws: Workspace, run_id: str, *, now: datetime, actor: str, with_drafts: bool = False) -> None:
    """Delete a run that has no statements (or only drafts, `with_drafts`). Raises NotThere, Refused."""
    engine = open_ledger(ws)
    with reading(engine) as connection:
        if connection.scalar(select(runs.c.run_id).where(runs.c.run_id == run_id, runs.c.status != "deleted")) is None:
            raise NotThere("there is no such run", value=run_id)
        living = dict(
            connection.execute(
                select(statements.c.statement_id, statements.c.status).where(
                    statements.c.run_id == run_id, statements.c.status != "deleted"
                )
            )
            .tuples()
            .all()
        )
    if any(status != "draft" for status in living.values()) or (living and not with_drafts):
        raise Refused(
            f"the run has {len(living)} statements",
            value=run_id,
            remedy="delete its drafts first (`dunning statement delete --run`); closed statements stay",
        )
    remove_drafts(engine, list(living), now=now, actor=actor, reason="run deleted")
    with engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(status="deleted", finished_at=now))
        audit.record(connection, actor=actor, action="run.delete", object_kind="run", object_id=run_id, at=now)


def _kind(scope: Scope) -> str:
    if scope.kind == "account":
        return "account"
    return "single" if scope.invoice else "dunning"


def _refuse_going_back(engine: Engine, dunning_date: date, scope: Scope) -> None:
    """Raise Refused for a date before the last closed run, or before a reminder left: as of that date it has not been
    said, and would be said again. Single-invoice runs and account statements do not count.
    """
    if scope.kind != "dunning":
        return
    with reading(engine) as connection:
        last = connection.scalar(
            select(func.max(statements.c.dunning_date))
            .select_from(statements.join(runs, runs.c.run_id == statements.c.run_id))
            .where(runs.c.kind == "dunning", statements.c.status.in_(("closed", "superseded")))
        )
        left_on = connection.scalar(
            select(func.max(item_levels.c.sent_on))
            .select_from(
                item_levels.join(statements, statements.c.statement_id == item_levels.c.statement_id).join(
                    runs, runs.c.run_id == statements.c.run_id
                )
            )
            .where(item_levels.c.event == "reached", item_levels.c.sent_on > dunning_date)
            .where(runs.c.kind == "dunning", statements.c.status.in_(("closed", "superseded")))
        )
    if last is not None and dunning_date < last:
        raise Refused(
            f"a run dated {dunning_date} is before the last closed run of {last}",
            remedy="look at it with --replay, which changes nothing",
        )
    if left_on is not None:
        raise Refused(
            f"a run dated {dunning_date} is before {left_on}, when reminders left: it would say them again",
            remedy=f"run {left_on} or a later date, which catches up what was missed; --replay changes nothing",
        )


def _start(engine: Engine, run_id: str, dunning_date: date, scope: Scope, *, now: datetime, actor: str) -> None:
    with engine.begin() as connection:
        # we hold the lease: whoever is still marked as running died
        connection.execute(
            update(runs).where(runs.c.status == "running").values(status="failed", error="interrupted", finished_at=now)
        )
        again = connection.execute(
            update(runs)
            .where(runs.c.run_id == run_id)
            .values(status="running", started_at=now, finished_at=None, error=None, created_by=actor)
        )
        if not again.rowcount:
            connection.execute(
                runs.insert().values(
                    run_id=run_id,
                    kind=_kind(scope),
                    dunning_date=dunning_date,
                    scope=asdict(scope),
                    status="running",
                    started_at=now,
                    created_by=actor,
                )
            )


def _keep_processes(engine: Engine, decision: Decision, *, now: datetime) -> None:
    """Keep every version of a process that a case may freeze, by its hash."""
    with engine.begin() as connection:
        known = set(connection.scalars(select(process_versions.c.process_hash)))
        for version in decision.process_versions.to_pylist():
            if version["process_hash"] not in known:
                content = orjson.loads(version.pop("content"))
                connection.execute(process_versions.insert().values(**version, content=content, first_seen_at=now))


def _waive_settled(engine: Engine, decision: Decision, *, now: datetime, actor: str) -> int:
    """Waive charges whose principal is paid, where the process says so; how many."""
    rows = decision.waivers.to_pylist()
    for chunk in chunks(rows, 500):
        with engine.begin() as connection:
            for row in chunk:
                reason = "the principal is paid"
                waive(connection, row["posting_id"], on=decision.dunning_date, reason=reason, actor=actor, now=now)
    return len(rows)


def _keep_decisions(ws: Workspace, run_id: str, decision: Decision) -> None:
    ws.decisions.mkdir(parents=True, exist_ok=True)
    drop_unfinished(ws.decisions)
    partial = ws.decisions / f"{run_id}.partial"
    pyarrow.parquet.write_table(decision.decisions, partial, compression="zstd")
    partial.replace(ws.decisions / f"{run_id}.parquet")


def _apply(
    ws: Workspace,
    run_id: str,
    dunning_date: date,
    scope: Scope,
    decision: Decision,
    *,
    now: datetime,
    actor: str,
    progress: Progress | None,
) -> RunReport:
    engine = open_ledger(ws)
    _keep_processes(engine, decision, now=now)
    store_assignments(engine, decision, now=now, actor=actor)
    waived = _waive_settled(engine, decision, now=now, actor=actor)
    proposals = Proposals(decision)
    try:
        compared = proposals.compare(engine)
        stale = proposals.stale(*_own_drafts(scope, run_id))
        counts = store_drafts(
            engine, proposals, compared, run_id=run_id, stale=stale, now=now, actor=actor, progress=progress
        )
        held = proposals.held()
        found = [
            *decision.findings, *_bad_copies(decision), *_held(decision),
            *_undeclared_entities(decision, ws.company.legal_entities), *_undrawn(decision),
        ]  # fmt: skip
        _tell_findings(engine, found, now=now, is_whole=scope == Scope())
        said = _counts(counts, decision, held, waived)
        silent = _left_out(decision.decisions) if scope.kind == "dunning" else {}
        return RunReport(run_id, dunning_date, False, said, proposals.statement_ids(), left_out=silent)
    finally:
        proposals.close()


def _own_drafts(scope: Scope, run_id: str) -> tuple[str, list[Any]]:
    """Which open drafts this scope speaks for; a narrower run leaves the others alone."""
    conditions = ["kind = ?"]
    parameters: list[Any] = [scope.kind]
    if scope.invoice or scope.segment:
        conditions, parameters = [*conditions, "run_id = ?"], [*parameters, run_id]
    else:
        conditions.append("run_id not like '%-single-%'")
    if scope.process:
        conditions, parameters = [*conditions, "process = ?"], [*parameters, scope.process]
    if scope.levels:
        conditions, parameters = [*conditions, "level in (select unnest(?))"], [*parameters, list(scope.levels)]
    if scope.account:
        conditions = [*conditions, "? in (account_key, account_id)"]
        parameters = [*parameters, scope.account]
    return " and ".join(conditions), parameters


def left_out(ws: Workspace, run_id: str) -> dict[str, int]:
    """Reason → items that are owed and that this run did not dun, most first; empty where its decisions are gone."""
    file = ws.decisions / f"{run_id}.parquet"
    return _left_out(pyarrow.parquet.read_table(file, columns=["included", "reason"])) if file.is_file() else {}


def _left_out(decisions: pyarrow.Table) -> dict[str, int]:
    reasons = decisions.filter(pyarrow.compute.invert(decisions["included"]))["reason"].value_counts()
    counts = {row["values"]: row["counts"] for row in reasons.to_pylist() if row["values"] not in NOT_OWED}
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _counts(counts: DraftCounts, decision: Decision, held: list[Any], waived: int) -> dict[str, int]:
    return asdict(counts) | {
        "proposed": decision.statements.num_rows,
        "held": len(held),
        "waived": waived,
        "decisions": decision.decisions.num_rows,
    }


def _tell_findings(engine: Engine, found: list[dict[str, Any]], *, now: datetime, is_whole: bool) -> None:
    """What a person must see becomes findings; a run over everything also ends those of its kinds that are gone."""
    seen = set()
    for chunk in chunks(found, 500):
        with engine.begin() as connection:
            seen |= {raise_finding(connection, at=now, **finding) for finding in chunk}
    if not is_whole:
        return
    f = findings.c
    with engine.begin() as connection:
        known = connection.scalars(select(f.finding_id).where(f.status == "open", f.kind.in_(FOUND_BY_RUNS)))
        for gone in chunks([finding_id for finding_id in known if finding_id not in seen], 500):
            connection.execute(
                update(findings).where(f.finding_id.in_(gone)).values(status="done", done_at=now, done_by="dunning run")
            )


def _held(decision: Decision) -> Iterator[dict[str, Any]]:
    columns = decision.statements.select(["account_key", "account_name", "level", "hold_reason"])
    for row in columns.to_pylist():
        if row["hold_reason"] is not None:
            yield {
                "kind": "statement_held",
                "severity": "warning",
                "object_kind": "account",
                "object_id": row["account_key"],
                "message": f"the statement of {row['account_name']} needs a person: {row['hold_reason']}",
            }


def _undeclared_entities(decision: Decision, declared: Container[str]) -> Iterator[dict[str, Any]]:
    """Creditors that company.yaml does not know, where there are several: the company's own account would be named.

    A single code in all invoices is the company itself.
    """
    named = [entity for entity in decision.statements["legal_entity"].unique().to_pylist() if entity]
    for entity in sorted(named) if len(named) > 1 else ():
        if entity not in declared:
            yield {
                "kind": "entity_not_declared",
                "severity": "warning",
                "object_kind": "legal_entity",
                "object_id": entity,
                "message": f"legal_entities of policies/company.yaml does not name {entity}; what is owed to it is "
                "asked for in the company's own name, to its own bank account",
            }


def _undrawn(decision: Decision) -> Iterator[dict[str, Any]]:
    """Names and addresses of which the PDF would show boxes; told while it is a draft."""
    for row in decision.statements.select(["account_key", "account_name", "address"]).to_pylist():
        if undrawn := not_drawn(f"{row['account_name']} {row['address']}"):
            yield {
                "kind": "letters_not_drawn",
                "severity": "warning",
                "object_kind": "account",
                "object_id": row["account_key"],
                "message": f"the PDF shows boxes for {undrawn}: no shipped font has these letters; "
                "give name and address in Latin letters at the source",
            }


def _bad_copies(decision: Decision) -> Iterator[dict[str, Any]]:
    columns = decision.statements.select(["account_key", "account_name", "recipients"])
    for row in columns.to_pylist():
        if "invalid_address" not in str(row["recipients"]):
            continue
        said = orjson.loads(row["recipients"]) if isinstance(row["recipients"], str) else row["recipients"]
        trace = said.get("trace") or {}
        trace = orjson.loads(trace) if isinstance(trace, str) else trace
        copies = (trace.get("copies") or ()) if isinstance(trace, dict) else ()
        bad = sorted({copy["written"] for copy in copies if copy["refusal"] == "invalid_address"})
        if bad:
            yield {
                "kind": "invalid_copy_address",
                "severity": "warning",
                "object_kind": "account",
                "object_id": row["account_key"],
                "message": f"{row['account_name']}: no e-mail address, so left out of the copies: {', '.join(bad)}",
            }


def _finish(
    engine: Engine,
    run_id: str,
    *,
    status: str,
    now: datetime,
    counts: dict[str, int] | None = None,
    error: str | None = None,
    decision: Decision | None = None,
) -> None:
    seen = {"snapshot": getattr(decision, "snapshot", None), "facts_as_of": getattr(decision, "facts_as_of", None)}
    with engine.begin() as connection:
        connection.execute(
            update(runs)
            .where(runs.c.run_id == run_id)
            .values(status=status, counts=counts, error=error, finished_at=now, **seen)
        )


def _say(progress: Progress | None, what: str) -> None:
    if progress is not None:
        progress(what, 0, 0)
