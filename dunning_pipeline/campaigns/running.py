"""Runs a campaign once per occurrence: freezes the audience, holds out the control group, queues, tells of all.

Every step can be repeated: the occurrence is a row with a name, its members are frozen, its sends have keys of
business facts. A run that was killed is resumed by running the occurrence again.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select, update

from dunning_pipeline.campaigns.audience import members, split
from dunning_pipeline.campaigns.declaration import Campaign, find_campaign, usable_declarations
from dunning_pipeline.campaigns.dunning_flow import Outcomes, queue_claimed
from dunning_pipeline.campaigns.occurrences import CATCH_UP, due, occurrence_name, too_late
from dunning_pipeline.errors import Busy, Refused
from dunning_pipeline.ledger.bulk import chunks
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.leases import hold
from dunning_pipeline.ledger.schema import campaign_members, campaign_occurrences, switches
from dunning_pipeline.settings.workspace import Workspace

PENDING = "pending"
HELD_OUT = "held_out"


@dataclass
class CampaignReport:
    """What one occurrence did; `counts` are accounts by outcome (queued, no_statement, no_channel …)."""

    campaign: str
    occurrence: str
    status: str
    audience: int = 0
    held_out: int = 0
    counts: dict[str, int] = field(default_factory=dict)


def run_campaign(
    ws: Workspace,
    name: str,
    *,
    now: datetime,
    actor: str,
    occurrence: str | None = None,
    planned_for: datetime | None = None,
    send_now: bool = False,
) -> CampaignReport:
    """Run an occurrence of a campaign, a manual one where none is named; one that is done is only reported.

    Raises NotThere for an unknown campaign, Refused while it is paused, Busy while it is running elsewhere.
    """
    campaign = find_campaign(ws, name)
    occurrence = occurrence or f"manual:{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    planned_for = planned_for or _instant_of(occurrence) or now
    engine = open_ledger(ws)
    with hold(engine, f"campaign {name}"):
        with reading(engine) as connection:
            known = _known(connection, name, occurrence)
            paused = is_paused(connection, name)
        if known is not None and known.status in ("done", "cancelled"):
            return CampaignReport(
                name, occurrence, known.status, known.audience or 0, known.held_out or 0, known.counts or {}
            )
        if paused:
            raise Refused(f"the campaign {name!r} is paused", remedy=f"`dunning campaign resume {name}`")
        if known is not None and known.status == "running":
            _refuse_other_digests(campaign, known.definition)
        else:
            _freeze(ws, campaign, occurrence, planned_for=planned_for, now=now, actor=actor)
        return _go_on(ws, campaign, occurrence, planned_for=planned_for, now=now, actor=actor, at_once=send_now)


def _refuse_other_digests(campaign: Campaign, begun_as: dict[str, Any] | None) -> None:
    """Half of an occurrence by account and half by contact point would tell some readers twice."""
    begun = (begun_as or {}).get("consolidate")
    if begun != campaign.consolidate:
        raise Refused(
            f"this occurrence began with consolidate: {begun or 'not set'}",
            value=campaign.consolidate,
            remedy="put the line back as it was until the occurrence is done",
        )


def run_due(ws: Workspace, *, now: datetime, actor: str, problems: list[str]) -> list[CampaignReport]:
    """Run every campaign whose time has come since; paused ones wait, older missed occurrences are cancelled."""
    reports = []
    declared, mistakes = usable_declarations(ws)
    problems += [f"a campaign was not run: {mistake}" for mistake in mistakes]
    for one in declared:
        campaign, name = one.campaign, one.campaign.campaign
        written = datetime.fromtimestamp(one.file.stat().st_mtime, UTC)
        with reading(open_ledger(ws)) as connection:
            instant, missed = due(connection, campaign, ws, now=now, written=written)
            paused = is_paused(connection, name)
            lost = [] if paused else too_late(connection, campaign, ws, now=now)
            waiting = {} if paused else _waiting(connection, name, now=now)
            if instant is not None and not paused:
                waiting[occurrence_name(instant)] = instant
        if lost:
            some = f"{', '.join(map(occurrence_name, lost[-3:]))} (of {len(lost)})"
            told = f"campaign {name} did not run on {some} and is not caught up after {CATCH_UP.days} days"
            problems.append(f"{told}; `dunning campaign run {name}` runs it now")
        _cancel_missed(ws, campaign, [*lost, *(missed if waiting else [])], now=now, actor=actor)
        for occurrence, planned_for in waiting.items():
            try:
                reports.append(
                    run_campaign(ws, name, now=now, actor=actor, occurrence=occurrence, planned_for=planned_for)
                )
            except Busy:
                problems.append(f"campaign {name} is running elsewhere")
            except Exception as error:
                problems.append(f"campaign {name}: {error}")
    return reports


def _waiting(connection: Connection, name: str, *, now: datetime) -> dict[str, datetime]:
    """Occurrences that a person planned for an instant that has come, and those that were interrupted."""
    c = campaign_occurrences.c
    rows = connection.execute(
        select(c.occurrence, c.planned_for)
        .where(c.campaign == name, c.status.in_(("planned", "running")), c.planned_for <= now)
        .order_by(c.planned_for)
    )
    return {row.occurrence: row.planned_for for row in rows}


def is_paused(connection: Connection, name: str) -> bool:
    return connection.scalar(select(switches.c.name).where(switches.c.name == f"campaign:{name}")) is not None


def paused_campaigns(connection: Connection) -> set[str]:
    names = connection.scalars(select(switches.c.name).where(switches.c.name.startswith("campaign:")))
    return {name.removeprefix("campaign:") for name in names}


def _known(connection: Connection, name: str, occurrence: str) -> Any:
    c = campaign_occurrences.c
    return connection.execute(
        select(campaign_occurrences).where(c.campaign == name, c.occurrence == occurrence)
    ).one_or_none()


def _instant_of(occurrence: str) -> datetime | None:
    try:
        return datetime.fromisoformat(occurrence.removeprefix("manual:"))
    except ValueError:
        return None


def _freeze(
    ws: Workspace, campaign: Campaign, occurrence: str, *, planned_for: datetime, now: datetime, actor: str
) -> None:
    """The audience of the occurrence, written before anything is queued; a later run does not ask the segment again."""
    audience = members(ws, campaign)
    _, held_out = split(campaign, audience)
    out = set(held_out)
    name = campaign.campaign
    with open_ledger(ws).begin() as connection:
        values = {
            "planned_for": planned_for,
            "status": "running",
            "audience": len(audience),
            "held_out": len(held_out),
            "definition": campaign.model_dump(mode="json"),
            "started_at": now,
            "created_by": actor,
        }
        c = campaign_occurrences.c
        known = connection.execute(
            update(campaign_occurrences).where(c.campaign == name, c.occurrence == occurrence).values(**values)
        ).rowcount
        if not known:
            connection.execute(campaign_occurrences.insert().values(campaign=name, occurrence=occurrence, **values))
        rows = [
            {
                "campaign": name,
                "occurrence": occurrence,
                "unified_account_id": account,
                "is_held_out": account in out,
                "outcome": HELD_OUT if account in out else PENDING,
            }
            for account in sorted(audience)
        ]
        for some in chunks(rows, 2000):
            connection.execute(campaign_members.insert(), list(some))


def _go_on(
    ws: Workspace,
    campaign: Campaign,
    occurrence: str,
    *,
    planned_for: datetime,
    now: datetime,
    actor: str,
    at_once: bool,
) -> CampaignReport:
    """Queue for the frozen members, from wherever an earlier attempt stopped."""
    m = campaign_members.c
    here = (m.campaign == campaign.campaign, m.occurrence == occurrence)
    with reading(open_ledger(ws)) as connection:
        accounts = list(connection.scalars(select(m.unified_account_id).where(*here, ~m.is_held_out)))
    flow = queue_claimed if campaign.flow == "dunning" else message_flow(campaign)
    outcomes: Outcomes = flow(
        ws, campaign, accounts, occurrence=occurrence, planned_for=planned_for, now=now, actor=actor, at_once=at_once
    )
    with open_ledger(ws).begin() as connection:
        by_outcome: dict[str, list[str]] = {}
        for account, outcome in outcomes.items():
            by_outcome.setdefault(outcome, []).append(account)
        for outcome, some_accounts in by_outcome.items():
            for some in chunks(some_accounts, 900):
                connection.execute(
                    update(campaign_members).where(*here, m.unified_account_id.in_(some)).values(outcome=outcome)
                )
        told = Counter(connection.scalars(select(m.outcome).where(*here)))
        counts = dict(sorted(told.items()))
        c = campaign_occurrences.c
        connection.execute(
            update(campaign_occurrences)
            .where(c.campaign == campaign.campaign, c.occurrence == occurrence)
            .values(status="done", counts=counts, finished_at=now)
        )
    return CampaignReport(campaign.campaign, occurrence, "done", sum(counts.values()), counts.get(HELD_OUT, 0), counts)


def message_flow(campaign: Campaign) -> Any:
    """What queues the messages of a campaign that sends no statements."""
    from dunning_pipeline.campaigns.digest_flow import queue_digests
    from dunning_pipeline.campaigns.message_flow import queue_plans, queue_to_members

    if campaign.consolidate is not None:
        return queue_digests
    return queue_plans if campaign.flow == "collection_plan" else queue_to_members


def _cancel_missed(ws: Workspace, campaign: Campaign, missed: list[datetime], *, now: datetime, actor: str) -> None:
    """Several schedules were missed: the newest runs, the older ones are recorded, so that nothing is silent."""
    with open_ledger(ws).begin() as connection:
        for instant in missed:
            if _known(connection, campaign.campaign, occurrence_name(instant)) is None:
                connection.execute(
                    campaign_occurrences.insert().values(
                        campaign=campaign.campaign,
                        occurrence=occurrence_name(instant),
                        planned_for=instant,
                        status="cancelled",
                        counts={"missed": 1},
                        created_by=actor,
                    )
                )
