"""Campaigns as assets: one per file of policies/campaigns, each with the schedule that its file declares."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg

from assets.forms import CampaignConfig, chosen
from assets.place import SNAPSHOT, workspace
from dunning_pipeline.campaigns.declaration import Campaign, load_campaigns
from dunning_pipeline.campaigns.occurrences import occurrence_name
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.settings.workspace import Workspace

OCCURRENCE_TAG = "dunning/occurrence"


def campaign_key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["campaigns", name])


def campaign_assets(ws: Workspace) -> list[dg.AssetsDefinition]:
    """One asset per campaign; materialising it runs the campaign once, or resumes the run that is under way."""
    return [_asset(campaign) for campaign in load_campaigns(ws).values()]


def _asset(campaign: Campaign) -> dg.AssetsDefinition:
    @dg.asset(
        key=campaign_key(campaign.campaign),
        deps=[SNAPSHOT],
        group_name="campaigns",
        kinds={"python", "email"},
        owners=[f"team:{campaign.owner}"] if campaign.owner else [],
        description=_description(campaign),
    )
    def run_one(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata=_run(campaign.campaign, context.run.tags.get(OCCURRENCE_TAG), False))

    return run_one


def _description(campaign: Campaign) -> str:
    schedule = campaign.schedule
    when = (
        "on demand" if schedule is None else f"cron `{schedule.cron}`" if schedule.cron else f"once, at {schedule.at}"
    )
    who = campaign.segment or f"waterfall {campaign.waterfall}"
    told = f"{campaign.description}\n\nTo **{who}**, flow **{campaign.flow}**, {when}."
    return f"{told}\n\nDeclared in `policies/campaigns/{campaign.campaign}.yaml`."


def _run(name: str, occurrence: str | None, at_once: bool) -> dict[str, Any]:
    from dunning_pipeline.campaigns.running import run_campaign

    report = run_campaign(
        workspace(), name, now=business_now(), occurrence=chosen(occurrence), actor="dagster", send_now=at_once
    )
    return {"dagster/row_count": report.counts.get("queued", 0), **vars(report)}


def campaign_job() -> dg.JobDefinition:
    """The form for people: choose a campaign, run it now."""

    @dg.op(name="run_campaign")
    def run_campaign_op(context: dg.OpExecutionContext, config: CampaignConfig) -> None:
        metadata = _run(config.campaign, config.occurrence, config.at_once)
        context.log_event(dg.AssetMaterialization(campaign_key(config.campaign), metadata=metadata))

    @dg.job(name="campaign", description="Run one campaign now. Choose it in the Launchpad.")
    def campaign() -> None:
        run_campaign_op()

    return campaign


def campaign_schedules(ws: Workspace) -> Iterator[dg.ScheduleDefinition]:
    """A schedule for each file that declares one, in its own time zone."""
    for campaign in load_campaigns(ws).values():
        if campaign.schedule is not None:
            yield _schedule(campaign, ws)


def _schedule(campaign: Campaign, ws: Workspace) -> dg.ScheduleDefinition:
    zone = str(campaign.zone(ws))
    at = campaign.schedule.at if campaign.schedule else None
    at = at.astimezone(campaign.zone(ws)) if at is not None and at.tzinfo else at
    cron = campaign.schedule.cron if campaign.schedule and campaign.schedule.cron else _cron_of(at)
    key = campaign_key(campaign.campaign)

    @dg.schedule(
        name=f"campaign_{campaign.campaign.replace('-', '_')}",
        cron_schedule=cron,
        execution_timezone=zone,
        target=dg.AssetSelection.assets(key),
        description=f"Runs the campaign {campaign.campaign}, as its file says.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        planned = context.scheduled_execution_time
        if at is not None and planned.astimezone(campaign.zone(ws)).year != at.year:
            return dg.SkipReason(f"it runs once, in {at.year}")
        occurrence = occurrence_name(planned)
        return dg.RunRequest(run_key=f"{campaign.campaign}:{occurrence}", tags={OCCURRENCE_TAG: occurrence})

    return tick


def _cron_of(at: datetime | None) -> str:
    assert at is not None
    return f"{at.minute} {at.hour} {at.day} {at.month} *"
