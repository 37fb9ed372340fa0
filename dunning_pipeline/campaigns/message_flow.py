"""The flows message and collection_plan: a template to each member's own contact, with that account's data alone."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from dunning_pipeline.campaigns.declaration import Campaign
from dunning_pipeline.campaigns.dunning_flow import Outcomes
from dunning_pipeline.campaigns.messages import Messages, better
from dunning_pipeline.campaigns.owing import rows_of
from dunning_pipeline.settings.workspace import Workspace

# One row per billing account of the members: who gets it, and the account's own document.
_ACCOUNTS = """
select links.unified_account_id, recipients.*, accounts.account_id, accounts.name as account_name, accounts.currency,
    (select graphs.document from data_graph.account_graphs as graphs where graphs.account_key = links.account_key
     order by graphs.bill_group_key limit 1) as graph
from unified.account_links as links
inner join data_model.accounts as accounts on accounts.account_key = links.account_key
inner join dunning.account_recipients as recipients on recipients.account_key = links.account_key
order by links.unified_account_id, links.account_key
"""
_PLANS = """
select plans.*, contacts.email as contact_email
from data_model.collection_plans as plans
left join data_model.contacts as contacts on contacts.contact_key = plans.contact_key
where lower(coalesce(plans.status, '')) not in ('closed', 'completed', 'cancelled', 'canceled', 'paid')
order by plans.plan_key
"""


def queue_to_members(
    ws: Workspace, campaign: Campaign, accounts: Collection[str], *, occurrence: str, planned_for: datetime,
    now: datetime, actor: str, at_once: bool, only: str | None = None,
    overrides: Mapping[str, Any] | None = None, preview: list[dict[str, Any]] | None = None,
) -> Outcomes:  # fmt: skip
    """One message per billing account of each member, and none twice to one contact point of the same party."""
    letters = Messages(ws, campaign, occurrence, planned_for, now, actor, at_once, overrides, preview)
    outcomes = dict.fromkeys(accounts, "no_account")
    seen: set[tuple[str, str]] = set()
    for row in rows_of(ws, _ACCOUNTS):
        party = row["unified_account_id"]
        if party not in outcomes or only not in (None, row["account_key"]):
            continue
        point = (party, ",".join(row["email_to"]).lower())
        outcome = "same_recipient" if row["email_to"] and point in seen else letters.send(row, row["account_key"])
        if outcome in ("queued", "already_queued"):
            seen.add(point)
        outcomes[party] = better(outcomes[party], outcome)
    letters.tell_failures()
    return outcomes


def queue_plans(
    ws: Workspace, campaign: Campaign, accounts: Collection[str], *, occurrence: str, planned_for: datetime,
    now: datetime, actor: str, at_once: bool, only: str | None = None,
    overrides: Mapping[str, Any] | None = None, preview: list[dict[str, Any]] | None = None,
) -> Outcomes:  # fmt: skip
    """One message per active collection plan of the members (or for one of them), to its contact or the account's."""
    letters = Messages(ws, campaign, occurrence, planned_for, now, actor, at_once, overrides, preview)
    outcomes = dict.fromkeys(accounts, "no_plan")
    plans: dict[str, list[dict[str, Any]]] = {}
    for plan in rows_of(ws, _PLANS):
        if only in (None, plan["plan_key"]):
            plans.setdefault(plan["account_key"], []).append(plan)
    for row in rows_of(ws, _ACCOUNTS):
        party = row["unified_account_id"]
        for plan in plans.get(row["account_key"], []) if party in outcomes else []:
            to = [plan["contact_email"]] if plan["contact_email"] else row["email_to"]
            outcome = letters.send({**row, "email_to": to}, plan["plan_key"], kind="collection_plan")
            outcomes[party] = better(outcomes[party], outcome)
    letters.tell_failures()
    return outcomes
