"""A job for each thing that a person would launch, and the whole day as one."""

from typing import Any

import dagster as dg

from assets.forms import CloseConfig, DunningRunConfig, IngestConfig, SendConfig
from assets.place import CLOSED, DUNNING_RUN, QUEUE, SENT

INGEST = dg.AssetSelection.groups("data_streams")
BUILD = dg.AssetSelection.groups(
    "data_lake", "data_model", "identity", "unified", "dunning", "segments", "data_graph", "reports", "serving"
)
DAY = INGEST | BUILD | dg.AssetSelection.assets(DUNNING_RUN, CLOSED, QUEUE, SENT)


def jobs() -> list[Any]:
    """Definition order is the order of the flow."""
    return [
        dg.define_asset_job(
            "ingest", INGEST, description="Read the data streams.", config=_form("read_streams", IngestConfig())
        ),
        dg.define_asset_job(
            "build", BUILD, description="Build and check the models and profiles, publish the snapshot."
        ),
        dg.define_asset_job(
            "ingest_and_build", INGEST | BUILD, description="Read what is new and build; nothing is decided."
        ),
        dg.define_asset_job(
            "dunning_run",
            dg.AssetSelection.assets(DUNNING_RUN),
            description="Propose statements for one dunning date (the partition), all or a part of them.",
            config=_form("dunning_run__proposed_statements", DunningRunConfig()),
        ),
        dg.define_asset_job(
            "close",
            dg.AssetSelection.assets(CLOSED, QUEUE),
            description="Close the drafts of a date that need no review, and queue them.",
            config=_form("dunning_run__closed_statements", CloseConfig()),
        ),
        dg.define_asset_job(
            "send",
            dg.AssetSelection.assets(SENT),
            description="Deliver what is due.",
            config=_form("delivery__sent_messages", SendConfig()),
        ),
        dg.define_asset_job(
            "daily", DAY, description="The whole day: read, build, decide, close, queue, deliver what is due."
        ),
    ]


def _form(op: str, config: dg.Config) -> dg.RunConfig:
    """What stands in the Launchpad when the job is opened."""
    return dg.RunConfig(ops={op: config})
