"""Sends one message by hand, of a collection plan or of an account: recorded and queued like any other send."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from dunning_pipeline.campaigns.declaration import Campaign, Flow
from dunning_pipeline.campaigns.message_flow import queue_plans, queue_to_members
from dunning_pipeline.campaigns.naming import shows_accounts
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


def send_by_hand(
    ws: Workspace,
    what: Literal["plan", "account"],
    text: str,
    *,
    template: str,
    now: datetime,
    actor: str,
    send_now: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> str:
    """Queue the message of the collection plan or the account with this key or source id, once a company day.

    `already_queued` where that day's one reads otherwise. An account's has its own open items, nobody else's;
    `overrides` as in message_flow. Raises NotThere, InvalidInput for a typed address that is none, or Refused where
    nobody can be reached.
    """
    is_plan = what == "plan"
    found = _found(ws, _PLAN if is_plan else _ACCOUNT, text)
    if found is None:
        raise NotThere("there is no such collection plan" if is_plan else "there is no such account", value=text)
    key, party = found
    queue = queue_plans if is_plan else queue_to_members
    outcome = queue(
        ws, _campaign(ws, template, "collection_plan" if is_plan else "message", overrides), [party],
        occurrence=f"{key}:{now.astimezone(ws.company.zone).date().isoformat()}", planned_for=now, now=now,
        actor=actor, at_once=send_now, only=key, overrides=overrides,
    )[party]  # fmt: skip
    if outcome not in ("queued", "already_queued"):
        raise Refused(
            f"nothing was queued: {outcome.replace('_', ' ')}",
            remedy="give the plan or its account a contact with an e-mail address, or end what forbids it",
        )
    return outcome


def _found(ws: Workspace, query: str, text: str) -> tuple[str, str] | None:
    """The key of what the message is of, and its party (unified account id)."""
    con = open_snapshot(ws)
    try:
        return con.execute(query, [text]).fetchone()
    finally:
        con.close()


def _campaign(ws: Workspace, template: str, flow: Flow, overrides: Mapping[str, Any] | None) -> Campaign:
    """The campaign of one message. Raises NotThere for an unknown template, Refused for one of digests, InvalidInput
    for a wrong address."""
    Catalogue(ws).find(template, "email", ws.company.default_language)
    for part in ("to", "cc", "bcc"):
        for address in (overrides or {}).get(part) or ():
            wire_email(address)
    campaign = Campaign(campaign=NAME, segment=NAME, flow=flow, template=template)
    if shows_accounts(ws, campaign):
        remedy = "account_statement tells one account's open items"
        raise Refused("this template is one of digests: it lists several accounts", value=template, remedy=remedy)
    return campaign
