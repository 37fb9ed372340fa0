"""What people do with campaigns: list, plan, pause, resume; each act is written to the audit trail."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from dunning_pipeline.campaigns.declaration import Campaign, find_campaign
from dunning_pipeline.campaigns.occurrences import occurrence_name, planned
from dunning_pipeline.campaigns.running import paused_campaigns
from dunning_pipeline.delivery.switches import switch_off, switch_on
from dunning_pipeline.errors import InvalidInput, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.schema import campaign_occurrences
from dunning_pipeline.settings.workspace import Workspace

HORIZON = timedelta(days=60)


def list_campaigns(ws: Workspace, campaigns: Iterable[Campaign], *, now: datetime) -> list[dict[str, Any]]:
    """One row per campaign: what it does, when it runs next, how its last occurrence went."""
    rows = []
    c = campaign_occurrences.c
    with reading(open_ledger(ws)) as connection:
        paused = paused_campaigns(connection)
        for campaign in campaigns:
            last = connection.execute(
                select(c.occurrence, c.status, c.counts)
                .where(c.campaign == campaign.campaign)
                .order_by(c.planned_for.desc())
                .limit(1)
            ).one_or_none()
            upcoming = next(iter(next_instants(ws, campaign, now=now, count=1)), None)
            rows.append(
                {
                    "campaign": campaign.campaign,
                    "state": "paused" if campaign.campaign in paused else "active",
                    "flow": campaign.flow,
                    "audience": campaign.segment or "waterfall " + ", ".join(campaign.segments),
                    "claims": claimed_text(campaign),
                    "template": campaign.template,
                    "consolidate": campaign.consolidate,
                    "schedule": schedule_text(campaign),
                    "next": upcoming.isoformat() if upcoming else None,
                    "last": last.occurrence if last else None,
                    "last_status": last.status if last else None,
                    "last_counts": last.counts if last else None,
                    "hold_out": str(campaign.hold_out),
                }
            )
    return rows


def claimed_text(campaign: Campaign) -> str | None:
    if campaign.flow != "dunning":
        return None
    levels = f"levels {', '.join(map(str, campaign.levels))}" if campaign.levels else "all levels"
    return f"{campaign.process or 'any process'}, {levels}"


def schedule_text(campaign: Campaign) -> str:
    if campaign.schedule is None:
        return "on demand"
    return f"cron {campaign.schedule.cron}" if campaign.schedule.cron else f"at {campaign.schedule.at}"


def next_instants(ws: Workspace, campaign: Campaign, *, now: datetime, count: int) -> list[datetime]:
    """The next planned instants within two months; empty for a campaign on demand."""
    found = []
    for instant in planned(campaign, ws, after=now, until=now + HORIZON):
        found.append(instant)
        if len(found) == count:
            break
    return found


def plan_occurrence(ws: Workspace, name: str, *, at: datetime, now: datetime, actor: str) -> str:
    """Plan one more occurrence at an instant; the daily path and Dagster run it when it has come. Its name.

    Planning the same instant again is a no-op. Raises InvalidInput for an instant that is past.
    """
    find_campaign(ws, name)
    if at <= now:
        raise InvalidInput(
            "this instant is past", value=at.isoformat(), remedy=f"`dunning campaign run {name}` runs it now"
        )
    occurrence = occurrence_name(at)
    c = campaign_occurrences.c
    with open_ledger(ws).begin() as connection:
        known = connection.scalar(select(c.status).where(c.campaign == name, c.occurrence == occurrence))
        if known is None:
            connection.execute(
                campaign_occurrences.insert().values(
                    campaign=name, occurrence=occurrence, planned_for=at, status="planned", created_by=actor
                )
            )
            audit.record(
                connection, actor=actor, action="campaign.plan", object_kind="campaign", object_id=name,
                after={"occurrence": occurrence}, at=now,
            )  # fmt: skip
    return occurrence


def cancel_occurrence(ws: Workspace, name: str, *, at: datetime, now: datetime, actor: str) -> str:
    """Take one planned instant of a campaign out, hand-planned or of its schedule; the others stay. Its name.

    Cancelling again is a no-op. Raises InvalidInput for an instant that is past or not planned, Refused where the
    occurrence has begun.
    """
    campaign = find_campaign(ws, name)
    occurrence = occurrence_name(at)
    c = campaign_occurrences.c
    with open_ledger(ws).begin() as connection:
        known = connection.scalar(select(c.status).where(c.campaign == name, c.occurrence == occurrence))
        if known == "cancelled":
            return occurrence
        if known not in (None, "planned"):
            raise Refused("this occurrence has begun", value=known, remedy="pause the campaign to hold what is queued")
        scheduled = at in planned(campaign, ws, after=at - timedelta(seconds=1), until=at)
        if at <= now or (known is None and not scheduled):
            raise InvalidInput("nothing is planned for this instant", value=at.isoformat())
        if known is None:
            connection.execute(
                campaign_occurrences.insert().values(
                    campaign=name, occurrence=occurrence, planned_for=at, status="cancelled", created_by=actor
                )
            )
        else:
            mine = (c.campaign == name, c.occurrence == occurrence)
            connection.execute(campaign_occurrences.update().where(*mine).values(status="cancelled"))
        audit.record(
            connection, actor=actor, action="campaign.cancel", object_kind="campaign", object_id=name,
            before={"occurrence": occurrence}, at=now,
        )  # fmt: skip
    return occurrence


def move_occurrence(ws: Workspace, name: str, *, at: datetime, to: datetime, now: datetime, actor: str) -> str:
    """Plan a planned instant of a campaign for another time; the new one's name. Raises as planning and cancelling."""
    if to == at:
        return occurrence_name(at)
    moved = plan_occurrence(ws, name, at=to, now=now, actor=actor)
    cancel_occurrence(ws, name, at=at, now=now, actor=actor)
    return moved


def pause(ws: Workspace, name: str, *, now: datetime, actor: str, reason: str | None = None) -> bool:
    """Nothing of the campaign starts or leaves until it is resumed; False where it is paused already."""
    find_campaign(ws, name)
    with open_ledger(ws).begin() as connection:
        return switch_on(connection, f"campaign:{name}", actor=actor, reason=reason, at=now)


def resume(ws: Workspace, name: str, *, now: datetime, actor: str) -> bool:
    """False where it was not paused. An occurrence that was missed meanwhile is caught up by the next daily path.

    What was queued before its file was renamed or removed goes on, too. Raises NotThere for a name nobody knows.
    """
    with open_ledger(ws).begin() as connection:
        if switch_off(connection, f"campaign:{name}", actor=actor, at=now):
            return True
    find_campaign(ws, name)
    return False
