"""Which workspace this code location shows, and the keys under which its things stand in the asset graph."""

import os
from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from dunning_pipeline.settings.clock import business_date
from dunning_pipeline.settings.workspace import Workspace

# Runs before this day make no sense: partitions are the dunning dates that can be launched.
FIRST_DUNNING_DATE = "2025-01-01"

LEDGER = dg.AssetKey(["ledger", "what_was_done"])
POLICIES = dg.AssetKey(["policies", "declarations"])
IDENTITY = dg.AssetKey(["identity", "unified_profiles"])
SNAPSHOT = dg.AssetKey(["serving", "snapshot"])
DUNNING_RUN = dg.AssetKey(["dunning_run", "proposed_statements"])
CLOSED = dg.AssetKey(["dunning_run", "closed_statements"])
QUEUE = dg.AssetKey(["delivery", "queued_messages"])
SENT = dg.AssetKey(["delivery", "sent_messages"])
DAY_REPORT = dg.AssetKey(["delivery", "day_report"])

WRITER = "duckdb_writer"  # pool of one: the warehouse has one writer at a time


def workspace() -> Workspace:
    """DUNNING_WORKSPACE, else the checkout that these files lie in."""
    return Workspace(os.environ.get("DUNNING_WORKSPACE") or Path(__file__).resolve().parents[1])


def dunning_dates(ws: Workspace) -> dg.DailyPartitionsDefinition:
    """One partition per dunning date, today (in the company's time zone) included."""
    return dg.DailyPartitionsDefinition(start_date=FIRST_DUNNING_DATE, timezone=ws.company.time_zone, end_offset=1)


def dunning_date(context: dg.AssetExecutionContext, ws: Workspace) -> date:
    """The partition that was launched; the business date where none was."""
    chosen = context.run.tags.get("dagster/partition")
    return date.fromisoformat(chosen) if chosen else business_date(ws.company.time_zone)


def chosen_date(context: dg.AssetExecutionContext) -> date:
    """The partition that was launched: what is decided and closed needs one. Fails where none was."""
    chosen = context.run.tags.get("dagster/partition")
    if chosen is None:
        raise dg.Failure(
            "no dunning date was chosen: nothing was decided\n  → launch it for a partition; on the command line "
            """`dagster job execute -m assets.definitions -j JOB --tags '{"dagster/partition": "2025-11-03"}'`""",
            allow_retries=False,
        )
    return date.fromisoformat(chosen)


def stream_key(source: str, name: str) -> dg.AssetKey:
    return dg.AssetKey(["data_streams", source, name])


def model_key(schema: str, name: str) -> dg.AssetKey:
    return dg.AssetKey([schema, name])


DAILY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=50), warn_window=timedelta(hours=26))
