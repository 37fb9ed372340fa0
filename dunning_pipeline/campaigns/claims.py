"""Which statements a campaign claims, so that the daily path leaves them to it and nothing is said twice."""

from collections.abc import Mapping, Sequence
from typing import Any

from dunning_pipeline.campaigns.audience import members
from dunning_pipeline.campaigns.declaration import Campaign, usable_campaigns
from dunning_pipeline.errors import DunningError
from dunning_pipeline.settings.workspace import Workspace


def claims_of(
    ws: Workspace, statements: Sequence[Mapping[str, Any]], *, problems: list[str] | None = None
) -> dict[str, str]:
    """Statement id → the campaign that claims it; the first by file name where several would.

    A campaign of the flow dunning claims the statements of its process and levels whose account is in its audience,
    also while it is paused, and also those that it holds out. A broken campaign claims nothing and is a problem of
    its own: its statements go the standard way rather than nowhere.
    """
    if not statements:
        return {}
    claimed: dict[str, str] = {}
    for campaign in dunning_campaigns(ws, problems=problems):
        try:
            audience = members(ws, campaign)
        except DunningError as error:
            if problems is not None:
                problems.append(f"campaign {campaign.campaign} claims nothing: {error}")
            continue
        for row in statements:
            if row["statement_id"] not in claimed and claims(campaign, row) and row["unified_account_id"] in audience:
                claimed[row["statement_id"]] = campaign.campaign
    return claimed


def claims(campaign: Campaign, statement: Mapping[str, Any]) -> bool:
    """Whether process and level of the statement are the campaign's; its audience is another question."""
    if campaign.process is not None and statement["process"] != campaign.process:
        return False
    return not campaign.levels or statement["level"] in campaign.levels


def dunning_campaigns(ws: Workspace, *, problems: list[str] | None = None) -> list[Campaign]:
    """The valid campaigns of the flow dunning, by file name."""
    campaigns, mistakes = usable_campaigns(ws)
    if problems is not None:
        problems += [f"a campaign claims nothing: {mistake}" for mistake in mistakes]
    return [campaign for campaign in campaigns.values() if campaign.flow == "dunning"]
