"""What the gate's questions share: the facts about a batch of sends, and the verdict on one of them."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from dunning_pipeline.delivery.judging.facts import Holder, Item, ItemNow
from dunning_pipeline.settings.company import Company

# Consent to what: subscriptions that an opt-out of speaks against the message.
DUNNING_SUBSCRIPTION = "dunning"
# Kinds that carry a claim; their opt-out routes to letter, and no unsubscribe link is put on them.
MANDATORY = ("dunning", "resend", "account", "collection_plan", "draft")
POINTS = ("email", "sms")  # channels that reach a contact point
# Kinds that go to whom the source names; a re-send and a mailed draft go to whom a person chose.
FOLLOWING = ("dunning", "account", "campaign", "collection_plan")


@dataclass(frozen=True, slots=True)
class Verdict:
    action: Literal["go", "hold", "cancel", "stop"]
    reason: str | None = None
    until: datetime | None = None  # a hold that time alone ends
    detail: str | None = None


@dataclass(slots=True)
class Facts:
    """What the gate knows about a batch of sends, gathered seconds ago (see gate_facts.gather)."""

    statements: dict[str, str]  # statement_id → status
    listed: dict[str, dict[Item, int]]  # statement_id (send_key without one) → item → open amount that is said, minor
    items: dict[Item, ItemNow]
    blocks: dict[str, str]  # account, bill group or invoice key → kind of the block in force
    prevented: set[str]
    suppressed: dict[tuple[str, str], str]  # (channel, normal address) → reason
    consents: dict[tuple[str, str, str], str]  # (channel, address, subscription) → opt_in | opt_out
    payments_loaded_at: datetime | None
    facts_unpublished: bool  # something was read that the published snapshot was not built from
    is_stopped: bool
    paused_campaigns: set[str]
    # statement_id (send_key without one) → whose credits → how much of them it knows of, minor; and what they have now
    known_credits: dict[str, dict[Holder, int]] = field(default_factory=dict)
    credits: dict[Holder, int] = field(default_factory=dict)
    due: dict[str, dict[Item, date]] = field(default_factory=dict)  # statement_id → item → due date that it goes by
    agreed: dict[str, str] = field(default_factory=dict)  # statement_id → promise, settled charge … since its closing
    last_days: dict[str, date] = field(default_factory=dict)  # statement_id → when what it asks for is over
    loads: int = 0  # how many there were when this was gathered
    invalid: dict[str, str] = field(default_factory=dict)  # address as written → why it is none
    # account → the normal addresses and numbers at which the newest snapshot reaches it
    points: dict[str, set[str]] = field(default_factory=dict)
    copies: dict[str, set[str]] = field(default_factory=dict)  # and those that its mail may name, copies too
    plan_points: dict[str, set[str]] = field(default_factory=dict)  # and those of its collection plans' contacts
    postal: dict[str, dict[str, str | None]] = field(default_factory=dict)  # and where its letters go
    # source:id as messages say → key of an invoice that had another id before
    names: dict[str, str] = field(default_factory=dict)
    by_hand: dict[str, set[str]] = field(default_factory=dict)  # statement_id → what a person wrote into its draft
    overtaken: set[str] = field(default_factory=set)  # charges that waited while a reminder of their statement left


def is_mandatory(kind: str) -> bool:
    return kind.partition(":")[0] in MANDATORY


def business_day(now: datetime, company: Company) -> date:
    return now.astimezone(company.zone).date()
