"""The day after the build, by dunning date: propose statements, close what needs no review, queue, deliver."""

from collections import Counter
from datetime import date
from typing import Any

import dagster as dg

from assets.charts import bars
from assets.forms import CloseConfig, DunningRunConfig, SendConfig, chosen
from assets.place import (
    CLOSED,
    DAILY,
    DUNNING_RUN,
    POLICIES,
    QUEUE,
    SENT,
    SNAPSHOT,
    chosen_date,
    dunning_dates,
    workspace,
)
from assets.tables import as_markdown
from dunning_pipeline import daily
from dunning_pipeline.errors import Busy
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.settings.workspace import Workspace

CHECK = "nothing_needs_a_person"
ACTOR = "dagster"


def dunning_assets(ws: Workspace) -> list[dg.AssetsDefinition]:
    """Four steps, each with a partition per dunning date; repeating one changes nothing."""
    dates = dunning_dates(ws)

    @dg.asset(
        key=DUNNING_RUN,
        deps=[SNAPSHOT, POLICIES],
        partitions_def=dates,
        group_name="dunning_run",
        kinds={"python", "duckdb"},
        owners=["team:collections"],
        freshness_policy=DAILY,
        check_specs=[_check(DUNNING_RUN, "Passes when every process could be evaluated.")],
        description="Decides for every open item whether its account is reminded on this date, at which level and why, "
        "and drafts the statements. Running it again for the same date makes no second draft. The reasons of every "
        "item are what `dunning explain ACCOUNT` prints.",
    )
    def proposed_statements(context: dg.AssetExecutionContext, config: DunningRunConfig) -> dg.MaterializeResult:
        here, day = workspace(), chosen_date(context)
        problems: list[str] = []
        try:
            if any((config.process, config.levels, config.account, config.invoice, config.segment)):
                runs = [_scoped_run(here, config, day)]
            else:
                runs = daily.run_processes(here, date=day, now=business_now(), actor=ACTOR, problems=problems)
        except Busy as busy:
            raise dg.RetryRequested(max_retries=3, seconds_to_wait=20) from busy
        if not runs:  # a green run in which nothing was decided would call nobody
            said = "\n".join(problems).removeprefix("nothing was decided: ")
            raise dg.Failure(f"nothing was decided: {said}", allow_retries=False)
        counts = Counter[str]()
        for run in runs:
            counts.update(run.counts)
            counts.update({f"not dunned: {reason}": count for reason, count in run.left_out.items()})
        metadata = {**_statements(here, context), "runs": [run.run_id for run in runs], **counts}
        return dg.MaterializeResult(metadata=metadata, check_results=[_outcome(DUNNING_RUN, problems)])

    @dg.asset(
        key=CLOSED,
        deps=[DUNNING_RUN],
        partitions_def=dates,
        group_name="dunning_run",
        kinds={"python", "sqlite"},
        owners=["team:collections"],
        check_specs=[_check(CLOSED, "Passes when no draft was refused at closing.")],
        description="Closes the drafts whose level says `approval: automatic`: balances and blocks are read again, "
        "the number is given, the PDF is made, fees and interest are posted once. Drafts for review wait in the "
        "console; drafts that a campaign claims wait for it.",
    )
    def closed_statements(context: dg.AssetExecutionContext, config: CloseConfig) -> dg.MaterializeResult:
        here = workspace()
        report = daily.DailyReport(chosen_date(context))
        closed = daily.close_automatic(
            here, report, now=business_now(), actor=ACTOR, include_review=config.include_review
        )
        metadata: dict[str, Any] = {"dagster/partition_row_count": len(closed), "waiting for campaigns": report.claimed}
        return dg.MaterializeResult(
            metadata={**_statements(here, context), **metadata}, check_results=[_outcome(CLOSED, report.problems)]
        )

    @dg.asset(
        key=QUEUE,
        deps=[CLOSED],
        partitions_def=dates,
        group_name="delivery",
        kinds={"python", "sqlite"},
        owners=["team:collections"],
        check_specs=[_check(QUEUE, "Passes when everything was queued, campaigns included.")],
        description="Puts the closed statements into the outbox table, due at the company's send hour, and runs the "
        "campaigns whose time has come. A message that is there already is not queued twice.",
    )
    def queued_messages(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        here = workspace()
        problems: list[str] = []
        keys = daily.queue_closed(here, now=business_now(), actor=ACTOR, problems=problems)
        campaigns = daily.run_campaigns(here, now=business_now(), actor=ACTOR, problems=problems)
        metadata: dict[str, Any] = {
            "dagster/partition_row_count": len(keys),
            "campaigns": [vars(one) for one in campaigns],
        }
        return dg.MaterializeResult(metadata=metadata, check_results=[_outcome(QUEUE, problems)])

    return [proposed_statements, closed_statements, queued_messages, delivery_asset()]


def delivery_asset() -> dg.AssetsDefinition:
    """Not partitioned: what is due is due, whichever date it was written for."""

    @dg.asset(
        key=SENT,
        deps=[dg.AssetDep(QUEUE, partition_mapping=dg.LastPartitionMapping())],
        group_name="delivery",
        kinds={"python", "email"},
        owners=["team:collections"],
        freshness_policy=DAILY,
        check_specs=[_check(SENT, "Passes when no message failed or is unknown, and no way out is closed.")],
        description="Delivers what is due. Each message is looked at again seconds before: a paid invoice, a block, "
        "opt-out, a stop holds it back. A message whose answer never came becomes unknown and is not tried again.",
    )
    def sent_messages(context: dg.AssetExecutionContext, config: SendConfig) -> dg.MaterializeResult:
        from dunning_pipeline.delivery.working.worker import deliver

        said = deliver(workspace(), now=business_now(), workers=config.workers, send_now=config.at_once)
        outcomes = {name: count for name, count in said.items() if isinstance(count, int)}
        wrong = [f"{outcomes['failed']} failed"] if outcomes.get("failed") else []
        # of earlier runs and of one that was killed, too, until somebody settles them
        if unknown := daily.in_doubt(workspace()):
            wrong.append(f"{unknown} may or may not have left: `dunning send resolve KEY …`")
        wrong += said.get("errors", [])  # the stop button, a provider that is not there
        metadata: dict[str, Any] = {"dagster/row_count": outcomes.get("sent", 0), **outcomes}
        if any(said["recovered"].values()):
            metadata["taken back from a run that died"] = said["recovered"]
        if any(outcomes.values()):
            metadata["chart"] = bars("messages by outcome", {name: n for name, n in outcomes.items() if n})
        return dg.MaterializeResult(metadata=metadata, check_results=[_outcome(SENT, wrong)])

    return sent_messages


def _scoped_run(ws: Workspace, config: DunningRunConfig, day: date) -> Any:
    from dunning_pipeline.dunning.scope import Scope
    from dunning_pipeline.statements.runs import run

    scope = Scope(
        process=chosen(config.process),
        levels=tuple(config.levels),
        account=chosen(config.account),
        invoice=chosen(config.invoice),
        segment=chosen(config.segment),
    )
    return run(ws, dunning_date=day, now=business_now(), scope=scope, actor=ACTOR)


def _statements(ws: Workspace, context: dg.AssetExecutionContext) -> dict[str, Any]:
    """How many statements the date has by status and level, as a table and a chart."""
    from dunning_pipeline.ledger.engine import open_ledger, reading
    from dunning_pipeline.ledger.reading import list_statements

    with reading(open_ledger(ws)) as connection:
        rows = list_statements(connection, date=chosen_date(context), kind="dunning")
    counts: dict[tuple[Any, ...], int] = {}
    for row in rows:
        key = (row["process"], row["level"], row["currency"], row["status"])
        counts[key] = counts.get(key, 0) + 1
    table = [
        {"process": process, "level": level, "currency": currency, "status": status, "statements": count}
        for (process, level, currency, status), count in sorted(counts.items(), key=str)
    ]
    by_level: dict[str, int] = {}
    for row in rows:
        name = f"level {row['level']} {row['status']}"
        by_level[name] = by_level.get(name, 0) + 1
    shown: dict[str, Any] = {"statements": dg.MetadataValue.md(as_markdown(table))}
    if by_level:
        shown["chart"] = bars("statements by level", dict(sorted(by_level.items())))
    return shown


def _check(key: dg.AssetKey, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(CHECK, asset=key, description=description)


def _outcome(key: dg.AssetKey, problems: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=key,
        passed=not problems,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(problems[:3]) or "nothing",
        metadata={"problems": dg.MetadataValue.md("\n".join(f"- {one}" for one in problems))} if problems else {},
    )
