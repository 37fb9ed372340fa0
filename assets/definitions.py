"""The one door: everything that Dagster shows and runs, made from the workspace's own files."""

import dagster as dg

from assets.campaigns import campaign_definitions, campaign_job
from assets.dunning import dunning_assets
from assets.jobs import jobs
from assets.model_specs import outside_specs
from assets.models import model_assets
from assets.place import workspace
from assets.schedules import schedules
from assets.sensors import sensors
from assets.streams import stream_assets
from assets.trying_again import tried_once
from dunning_pipeline.settings.workspace import Workspace


def build_definitions(ws: Workspace) -> dg.Definitions:
    """The flow of one workspace. One process runs a whole job: a process per step would cost seconds each."""
    campaigns = campaign_definitions(ws)
    run_here = [stream_assets(ws), model_assets(ws), *dunning_assets(ws), *campaigns.assets]
    return dg.Definitions(
        assets=[*outside_specs(), *(asset.with_hooks({tried_once}) for asset in run_here)],
        jobs=[*jobs(), campaign_job(), *campaigns.jobs],
        schedules=[*schedules(ws), *campaigns.schedules],
        sensors=sensors(),
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    return build_definitions(workspace())
