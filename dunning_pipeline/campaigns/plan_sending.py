"""Sends one message by hand, of a collection plan or of an account: recorded and queued like any other send."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dunning_pipeline.campaigns.declaration import Campaign, Flow
from dunning_pipeline.campaigns.message_flow import queue_plans, queue_to_members
from dunning_pipeline.delivery.permission.contact_points import wire_email
from dunning_pipeline.errors import NotThere, Refused
from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.snapshot import open_snapshot

NAME = "by-hand"
_PLAN = """
select plans.plan_key as key, links.unified_account_id
from data_model.collection_plans as plans
inner join unified.account_links as links on links.account_key = plans.account_key
where plans.plan_key = $1 or plans.plan_id = $1 order by plans.plan_key <> $1 limit 1
"""
_ACCOUNT = """
select accounts.account_key as key, links.unified_account_id
from data_model.accounts as accounts
inner join unified.account_links as links on links.account_key = accounts.account_key
where accounts.account_key = $1 or accounts.account_id = $1 order by accounts.account_key <> $1 limit 1
"""


@dataclass(frozen=True)
class _Subject:
    """What a message is of: a plan's or an account's key, and its party."""

    key: str
    unified_account_id: str


def send_plan(
    ws: Workspace,
    text: str,
    *,
    template: str,
    now: datetime,
    actor: str,
    send_now: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> str:
    """Queue the message of the plan with this key or source id, once a company day; `already_queued` where that day's
    one reads otherwise. `overrides` as in message_flow.

    Raises NotThere, InvalidInput for a typed address that is none, or Refused where nobody can be reached.
    """
    plan = _found(ws, _PLAN, text)
    if plan is None:
        raise NotThere("there is no such collection plan", value=text)
    campaign = _campaign(ws, template, "collection_plan", overrides)
    outcomes = queue_plans(
        ws, campaign, [plan.unified_account_id], occurrence=_day(ws, plan, now), planned_for=now, now=now,
        actor=actor, at_once=send_now, only_plan=plan.key, overrides=overrides,
    )  # fmt: skip
    return _queued(outcomes[plan.unified_account_id])


def send_account(
    ws: Workspace,
    text: str,
    *,
    template: str,
    now: datetime,
    actor: str,
    send_now: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> str:
    """Queue a message of the account with this key or source id, as send_plan does: its open items, nobody else's."""
    account = _found(ws, _ACCOUNT, text)
    if account is None:
        raise NotThere("there is no such account", value=text)
    campaign = _campaign(ws, template, "message", overrides)
    outcomes = queue_to_members(
        ws, campaign, [account.unified_account_id], occurrence=_day(ws, account, now), planned_for=now, now=now,
        actor=actor, at_once=send_now, only_account=account.key, overrides=overrides,
    )  # fmt: skip
    return _queued(outcomes[account.unified_account_id])


def _found(ws: Workspace, query: str, text: str) -> _Subject | None:
    con = open_snapshot(ws)
    try:
        rows = con.execute(query, [text]).fetchall()
    finally:
        con.close()
    return _Subject(*rows[0]) if rows else None


def _campaign(ws: Workspace, template: str, flow: Flow, overrides: Mapping[str, Any] | None) -> Campaign:
    """The campaign of one message. Raises NotThere for an unknown template, InvalidInput for a wrong address."""
    Catalogue(ws).find(template, "email", ws.company.default_language)
    for part in ("to", "cc", "bcc"):
        for address in (overrides or {}).get(part) or ():
            wire_email(address)
    return Campaign(campaign=NAME, segment=NAME, flow=flow, template=template)


def _day(ws: Workspace, subject: _Subject, now: datetime) -> str:
    return f"{subject.key}:{now.astimezone(ws.company.zone).date().isoformat()}"


def _queued(outcome: str) -> str:
    if outcome not in ("queued", "already_queued"):
        raise Refused(
            f"nothing was queued: {outcome.replace('_', ' ')}",
            remedy="give the plan or its account a contact with an e-mail address, or end what forbids it",
        )
    return outcome
