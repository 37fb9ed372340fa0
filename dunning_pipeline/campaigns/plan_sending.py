"""Sends the one message of one collection plan, by hand: recorded and queued like any other send."""

from dataclasses import dataclass
from datetime import datetime

from dunning_pipeline.campaigns.declaration import Campaign
from dunning_pipeline.campaigns.message_flow import queue_plans
from dunning_pipeline.errors import NotThere, Refused
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.snapshot import open_snapshot

NAME = "by-hand"


@dataclass(frozen=True)
class Plan:
    plan_key: str
    account_key: str
    unified_account_id: str


def find_plan(ws: Workspace, text: str) -> Plan:
    """The collection plan with this key or source id. Raises NotThere."""
    con = open_snapshot(ws)
    try:
        rows = con.execute(
            """select plans.plan_key, plans.account_key, links.unified_account_id
            from data_model.collection_plans as plans
            join unified.account_links as links on links.account_key = plans.account_key
            where plans.plan_key = $1 or plans.plan_id = $1 order by plans.plan_key <> $1 limit 1""",
            [text],
        ).fetchall()
    finally:
        con.close()
    if not rows:
        raise NotThere("there is no such collection plan", value=text)
    return Plan(*rows[0])


def send_plan(ws: Workspace, text: str, *, template: str, now: datetime, actor: str, send_now: bool = False) -> str:
    """Queue the plan's message, once a company day; `already_queued` where that day's one reads otherwise.

    Raises NotThere, or Refused where nobody can be reached.
    """
    plan = find_plan(ws, text)
    campaign = Campaign(campaign=NAME, segment=NAME, flow="collection_plan", template=template)
    day = now.astimezone(ws.company.zone).date().isoformat()
    outcomes = queue_plans(
        ws,
        campaign,
        [plan.unified_account_id],
        occurrence=f"{plan.plan_key}:{day}",
        planned_for=now,
        now=now,
        actor=actor,
        at_once=send_now,
        only_plan=plan.plan_key,
    )
    outcome = outcomes[plan.unified_account_id]
    if outcome not in ("queued", "already_queued"):
        raise Refused(
            f"nothing was queued: {outcome.replace('_', ' ')}",
            remedy="give the plan or its account a contact with an e-mail address, or end what forbids it",
        )
    return outcome
