"""Campaigns as assets: one per file of policies/campaigns, each with the schedule that its file declares."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg

from assets.forms import CampaignConfig, chosen
from assets.place import SNAPSHOT, workspace
from assets.trying_again import tried_once
from dunning_pipeline.campaigns.declaration import Campaign, usable_campaigns
from dunning_pipeline.campaigns.occurrences import occurrence_name, still_to_run
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.settings.workspace import Workspace

OCCURRENCE_TAG = "dunning/occurrence"


def campaign_key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["campaigns", name])


@dataclass
class Campaigns:
    """What the files of policies/campaigns become."""

    assets: list[dg.AssetsDefinition] = field(default_factory=list)
    jobs: list[Any] = field(default_factory=list)
    schedules: list[dg.ScheduleDefinition] = field(default_factory=list)


def campaign_definitions(ws: Workspace) -> Campaigns:
    """One asset per campaign, whose materialisation runs it once or resumes its run, and a schedule where it has one.

    A file with a mistake takes nothing else away: it is an asset that says the mistake and fails, and a warning.
    """
    found = Campaigns()
    campaigns, mistakes = usable_campaigns(ws)
    told: dict[str, list[str]] = {}
    for mistake in mistakes:
        told.setdefault(Path(str(mistake.file)).name, []).append(str(mistake))
    for campaign in campaigns.values():
        found.assets.append(_asset(campaign))
        if campaign.schedule is not None:
            found.jobs.append(_job(campaign))
            found.schedules.append(_schedule(campaign, ws, found.jobs[-1]))
    names = set(campaigns)
    for file, said in told.items():
        name = _free_name(file, names)
        names.add(name)
        found.assets.append(_broken(name, file, "\n\n".join(said)))
    return found


def _free_name(file: str, taken: set[str]) -> str:
    """A key's last part for a file that may be named anything: two assets of one name would stop all of them."""
    known = {_plain(name) for name in taken}
    name = Path(file).stem if _plain(Path(file).stem) not in known else file
    while _plain(name) in known:
        name += "_"
    return name if re.fullmatch(r"[\w.-]+", name) else _plain(name)


def _plain(name: str) -> str:
    """As Dagster makes a step's name of an asset's key."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def _broken(name: str, file: str, mistakes: str) -> dg.AssetsDefinition:
    dg.get_dagster_logger().warning("the campaign file %s is left out: %s", file, mistakes)

    @dg.asset(
        key=campaign_key(name),
        group_name="campaigns",
        kinds={"yaml"},
        tags={"dunning/broken": "true"},
        description=f"**This file has a mistake: it runs nothing until it is mended and Dagster has reloaded.**\n\n"
        f"```\n{mistakes}\n```\n\nDeclared in `policies/campaigns/{file}`.",
    )
    def tell() -> None:
        raise dg.Failure(f"policies/campaigns/{file} has a mistake: {mistakes}", allow_retries=False)

    return tell


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
    how = ", one digest per contact point" if campaign.consolidate else ""
    told = f"{campaign.description}\n\nTo **{who}**, flow **{campaign.flow}**{how}, {when}."
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

    @dg.job(name="campaign", hooks={tried_once}, description="Run one campaign now. Choose it in the Launchpad.")
    def campaign() -> None:
        run_campaign_op()

    return campaign


def _job(campaign: Campaign) -> Any:
    """What its schedule launches, by a name that a finding can tell to people."""
    return dg.define_asset_job(
        _name(campaign),
        dg.AssetSelection.assets(campaign_key(campaign.campaign)),
        description=f"Run the campaign {campaign.campaign}, as its schedule does.",
    )


def _name(campaign: Campaign) -> str:
    """Of its job and its schedule."""
    return f"campaign_{campaign.campaign.replace('-', '_')}"


def _schedule(campaign: Campaign, ws: Workspace, job: Any) -> dg.ScheduleDefinition:
    zone = str(campaign.zone(ws))
    at = campaign.schedule.at if campaign.schedule else None
    at = at.astimezone(campaign.zone(ws)) if at is not None and at.tzinfo else at
    cron = campaign.schedule.cron if campaign.schedule and campaign.schedule.cron else _cron_of(at)

    @dg.schedule(
        name=_name(campaign),
        cron_schedule=cron,
        execution_timezone=zone,
        job=job,
        description=f"Runs the campaign {campaign.campaign}, as its file says.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        planned = context.scheduled_execution_time
        if at is not None and planned.astimezone(campaign.zone(ws)).year != at.year:
            return dg.SkipReason(f"it runs once, in {at.year}")
        if (why := _stays_silent(ws, campaign, planned)) is not None:
            return dg.SkipReason(why)
        occurrence = occurrence_name(planned)
        return dg.RunRequest(run_key=f"{campaign.campaign}:{occurrence}", tags={OCCURRENCE_TAG: occurrence})

    return tick


def _stays_silent(ws: Workspace, campaign: Campaign, planned: datetime) -> str | None:
    """Why a tick of its schedule runs nothing: a person's choice, no failure that calls somebody at night."""
    from dunning_pipeline.campaigns.running import is_paused
    from dunning_pipeline.ledger.engine import open_ledger, reading

    with reading(open_ledger(ws)) as connection:
        if is_paused(connection, campaign.campaign):
            return f"it is paused; `dunning campaign resume {campaign.campaign}` lets it go on"
        if not still_to_run(connection, campaign, ws, [planned]):
            return "it ran that day already, at the hour that its file had before"
    return None


def _cron_of(at: datetime | None) -> str:
    assert at is not None
    return f"{at.minute} {at.hour} {at.day} {at.month} *"
