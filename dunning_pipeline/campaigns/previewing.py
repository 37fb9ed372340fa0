"""What a campaign would send if it ran now: the same path as a run, with nothing written."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dunning_pipeline.campaigns.audience import members, split
from dunning_pipeline.campaigns.declaration import find_campaign
from dunning_pipeline.campaigns.running import HELD_OUT, message_flow
from dunning_pipeline.errors import Refused
from dunning_pipeline.settings.workspace import Workspace


@dataclass(frozen=True)
class Preview:
    """`counts` are members by outcome, as a run's; `messages` rows of channel, to, language, accounts, open, due_at."""

    counts: dict[str, int]
    messages: list[dict[str, Any]]


def preview_campaign(ws: Workspace, name: str, *, now: datetime) -> Preview:
    """Whom a campaign of messages would write to now, of which accounts and about how much.

    Raises NotThere for an unknown campaign, Refused for one of reminders: what those say is decided by a run.
    """
    campaign = find_campaign(ws, name)
    if campaign.flow == "dunning":
        remedy = "`dunning process simulate` shows who would get what, `dunning statement list` the drafts that wait"
        raise Refused("reminders are decided by a run; a campaign only sends them", value=name, remedy=remedy)
    written, held_out = split(campaign, members(ws, campaign))
    messages: list[dict[str, Any]] = []
    outcomes = message_flow(campaign)(
        ws, campaign, written, occurrence="preview", planned_for=now, now=now, actor="preview", at_once=False,
        preview=messages,
    )  # fmt: skip
    counts = Counter(outcomes.values()) + Counter({HELD_OUT: len(held_out)})
    return Preview(dict(sorted(counts.items())), [_told(message) for message in messages])


def _told(message: Mapping[str, Any]) -> dict[str, Any]:
    document = message["document"]
    sums = document["digest"]["sums"] if "digest" in document else [
        {"open_amount": document["totals"]["please_pay"], "currency": document["currency"]}
    ]  # fmt: skip
    return {
        "channel": message["channel"],
        "to": message["to"],
        "language": message["language"],
        "accounts": list(message.get("accounts") or [message["account_key"]]),
        "open": [f"{row['open_amount']} {row['currency']}" for row in sums],
        "due_at": message["due_at"].isoformat(),
    }
