"""Identity resolution of one run: records → clusters → stable ids → profiles, in the warehouse connection it is given."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb

from dunning_pipeline.identity import history
from dunning_pipeline.identity.caching import normalise_records
from dunning_pipeline.identity.clustering import cluster_records, describe_records, suggest
from dunning_pipeline.identity.engine import DuckDBEngine, Observer
from dunning_pipeline.identity.rulesets import Ruleset, load_ruleset
from dunning_pipeline.identity.stable_ids import assign_ids
from dunning_pipeline.identity.steps import checks, guards, outputs, records, review
from dunning_pipeline.identity.steps import reconciliation as fields
from dunning_pipeline.identity.steps.step import WORK, Step
from dunning_pipeline.settings.workspace import Workspace


@dataclass
class ResolveReport:
    """What one run did, per kind: counts by name, and seconds per part."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def resolve(
    con: duckdb.DuckDBPyConnection,
    ws: Workspace | None,
    *,
    run_id: str,
    now: datetime,
    ledger: Any = None,
    rulesets: dict[str, Ruleset] | None = None,
    processes: int | None = None,
    observe: Observer | None = None,
    progress: Callable[[str], None] | None = None,
    keep_work: bool = False,
) -> ResolveReport:
    """Read data_model.accounts, contacts and individuals, write schema `identity`.

    `now` is the business instant (a birth or change after it is not believed). With a `ledger` (SQLAlchemy engine)
    people's decisions are applied, ids persist beyond the warehouse, and quarantined clusters become findings.
    Without `ws` the `rulesets` must be given. Raises InvalidDeclaration for a wrong ruleset.
    """
    folder = (ws.policies if ws else Path()) / "identity"
    rulesets = rulesets or {kind: load_ruleset(folder, kind) for kind in records.KINDS}
    engine, report = DuckDBEngine(con, observe=observe), ResolveReport()
    con.execute("create schema if not exists identity")
    instant = now.astimezone(UTC).replace(tzinfo=None)
    try:
        engine.run(
            Step(f"{WORK}.clock", f"select date '{instant.date()}' as current_day, timestamp '{instant}' as now")
        )
        for kind in records.KINDS:
            if progress:
                progress(f"identity: {kind}s")
            _resolve_kind(
                engine,
                rulesets[kind],
                report,
                folder=folder,
                run_id=run_id,
                now=now,
                ledger=ledger,
                processes=processes,
            )
        started = perf_counter()
        for step in (*review.shared_outputs(records.KINDS), checks.names(records.KINDS)):
            engine.run(step)
        for view in (*map(outputs.facts, records.KINDS), outputs.evidence(rulesets.values()), outputs.contact_points()):
            engine.show(view)
        report.seconds["shared tables"] = perf_counter() - started
    finally:
        engine.close(keep_work=keep_work)
    return report


def _resolve_kind(
    engine: DuckDBEngine,
    ruleset: Ruleset,
    report: ResolveReport,
    *,
    folder: Path,
    run_id: str,
    now: datetime,
    ledger: Any,
    processes: int | None,
) -> None:
    kind, clock = ruleset.kind, _Stopwatch(ruleset.kind, report)
    counts = report.counts.setdefault(kind, {})
    counts["records"] = engine.run(records.account_records() if kind == "account" else records.individual_records())
    clock.lap("records")
    counts["new_values"] = normalise_records(engine, kind, processes=processes)
    clock.lap("normalise")
    history.load_history(engine, kind, ledger)
    clock.lap("history")
    describe_records(engine, ruleset)
    clock.lap("identifiers")
    # without records no rule has anything to look at: each would take some steps to find that out
    rules = ruleset if counts["records"] else ruleset.model_copy(update={"match_rules": ()})
    cluster_records(engine, rules)
    clock.lap("clusters")
    assign_ids(engine, kind, run_id=run_id)
    clock.lap("ids")
    _write_outputs(engine, ruleset)
    clock.lap("profiles")
    suggest(engine, rules)
    if ruleset.probabilistic:
        _score(engine, ruleset, folder)
    engine.run(review.apart(kind))
    counts["suggestions"] = engine.run(review.suggestions(ruleset))
    clock.lap("suggestions")
    counts |= history.save_history(engine, kind, ledger, run_id=run_id, now=now)
    clock.lap("ledger")
    engine.run(checks.checks(ruleset))
    counts["profiles"] = int(engine.rows(f"select count(*) from identity.unified_{kind}s")[0][0])


def _write_outputs(engine: DuckDBEngine, ruleset: Ruleset) -> None:
    kind = ruleset.kind
    engine.load(f"identity.{kind}_rules", outputs.RULES, outputs.rule_rows(ruleset))
    engine.run(fields.members(kind))
    some_tied = engine.run(fields.tied(kind)) > 0
    (found,) = engine.rows(fields.filled(kind))
    empty = [name for name, is_filled in zip(fields.FIELDS[kind], found[::2], strict=True) if not is_filled]
    untidy = [name for name, is_untidy in zip(fields.FIELDS[kind], found[1::2], strict=True) if is_untidy]
    engine.run(fields.reconciled(ruleset, of_tied=False, empty=empty, untidy=untidy))
    if some_tied:
        engine.append(fields.reconciled(ruleset, of_tied=True, empty=empty, untidy=untidy))
    for name in fields.frequent_fields(ruleset):
        engine.run(fields.frequent_value(ruleset, name, is_untidy=name in untidy))
    for step in (
        fields.unified(ruleset, untidy=untidy),
        outputs.edges(kind),
        outputs.links(kind),
        guards.skipped_values(kind),
    ):
        engine.run(step)


def _score(engine: DuckDBEngine, ruleset: Ruleset, folder: Path) -> None:
    """Add the pairs that the trained model likes to the candidates; the best rule of a pair stays its first reason."""
    from dunning_pipeline.identity.scoring import RULE, scored_people

    assert ruleset.probabilistic
    pairs = scored_people(engine.con, folder / ruleset.probabilistic.model, threshold=ruleset.probabilistic.threshold)
    table = f"{WORK}.{ruleset.kind}_scored"
    engine.load(table, [("left_id", "bigint"), ("right_id", "bigint"), ("probability", "double")], pairs)
    strength = next(row[0] for row in outputs.rule_rows(ruleset) if row[1] == RULE)
    engine.con.execute(
        f"insert into {WORK}.{ruleset.kind}_candidates by name select left_id, right_id, left_id as left_record,"
        f" right_id as right_record, {strength} as strength, false as is_same, 'probability ' || round(probability, 4) as note"
        f" from {table}"
    )


class _Stopwatch:
    def __init__(self, name: str, report: ResolveReport) -> None:
        self.name, self.report, self.started = name, report, perf_counter()

    def lap(self, part: str) -> None:
        self.report.seconds[f"{self.name} {part}"] = perf_counter() - self.started
        self.started = perf_counter()
