"""The forms of the Launchpad: what a person can choose when launching a job, with defaults that are right to leave."""

from typing import Any

import dagster as dg
from pydantic import Field

from dunning_pipeline.delivery import WORKERS


class IngestConfig(dg.Config):
    sources: list[str] = Field(default=[], description="Only these sources, such as salesforce; empty: all.")


class BuildConfig(dg.Config):
    as_of: str = Field(
        default="", description="Business date of the models, YYYY-MM-DD; empty: the partition, or today."
    )


class DunningRunConfig(dg.Config):
    """The dunning date is the partition."""

    process: str = Field(default="", description="Only this dunning process; empty: all.")
    levels: list[int] = Field(default=[], description="Only these levels; empty: all.")
    account: str = Field(default="", description="Only this account (its key, such as salesforce:001…); empty: all.")
    invoice: str = Field(default="", description="Only this invoice; a single-invoice run does not block later ones.")
    segment: str = Field(default="", description="Only members of this segment; empty: everybody.")


class CloseConfig(dg.Config):
    include_review: bool = Field(default=False, description="Also close the drafts that wait for a person's review.")


class SendConfig(dg.Config):
    at_once: bool = Field(
        default=False, description="Do not wait for the send hour, the weekend or the holiday to pass."
    )
    workers: int = Field(default=WORKERS, ge=1, le=256, description="How many messages are worked on at the same time.")


class CampaignConfig(dg.Config):
    campaign: str = Field(description="The name of a file in policies/campaigns, without .yaml.")
    occurrence: str = Field(default="", description="Leave empty to run it now; the schedules fill it in.")
    at_once: bool = Field(default=False, description="Send without waiting for the campaign's send hour.")


def chosen(value: Any) -> Any:
    """An empty field of a form as None."""
    return value or None
