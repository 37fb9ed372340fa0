"""Reads policies/campaigns/*.yaml: whom, with what, when; every mistake with file, line and column."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator, model_validator

from dunning_pipeline.campaigns.naming import mistakes_in
from dunning_pipeline.dunning.processes import Channel
from dunning_pipeline.errors import InvalidDeclaration, NotThere
from dunning_pipeline.settings.company import Declared, Hour, TimeZone
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.settings.yaml_files import position, read_yaml, validated

Flow = Literal["dunning", "message", "collection_plan"]
ON_DEMAND = ("on demand", "on_demand", "none", "")


def _cron(text: str) -> str:
    from croniter import CroniterBadDateError, croniter

    if len(text.split()) != 5 or not croniter.is_valid(text):
        raise ValueError("not a cron line of five fields, such as 0 3 * * 1-5")
    try:
        croniter(text, datetime(2024, 1, 1)).get_next()  # noqa: DTZ001
    except CroniterBadDateError:
        raise ValueError("a date that never comes") from None
    return text


def _hours(text: str) -> str:
    from dunning_pipeline.delivery.judging.hours import parse_hours

    try:
        parse_hours(text)
    except InvalidDeclaration as error:
        raise ValueError(error.message) from None
    return text


def _calendar(name: str) -> str:
    from dunning_pipeline.delivery.judging.hours import holiday_calendar

    try:
        holiday_calendar(name)
    except InvalidDeclaration as error:
        raise ValueError(f"{error.message}; {error.remedy}") from None
    return name


class Schedule(Declared):
    """Again and again (`cron`) or once (`at`), in `timezone` (the company's where it says none)."""

    cron: Annotated[str, AfterValidator(_cron)] | None = None
    at: datetime | None = None
    timezone: TimeZone | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Schedule":
        if (self.cron is None) == (self.at is None):
            raise ValueError("give either cron or at")
        return self


class SendTimes(Declared):
    """When its messages may leave; what is not said is the company's."""

    hour: Hour | None = None
    quiet_hours: Annotated[str, AfterValidator(_hours)] | None = None  # in the recipient's zone
    holidays: Annotated[str, AfterValidator(_calendar)] | None = None
    fatigue_cap_per_week: int | None = Field(default=None, ge=1)  # messages per contact point; message flows


class Campaign(Declared):
    """One file below policies/campaigns/."""

    campaign: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)
    description: str = ""
    owner: str | None = None
    segment: str | None = None
    waterfall: tuple[str, ...] | str | None = None  # segments in order, or the name of a declared waterfall
    flow: Flow = "dunning"
    process: str | None = None
    levels: tuple[int, ...] = ()
    template: str | None = None
    channels: tuple[Channel, ...] = ()
    schedule: Schedule | None = None  # None: on demand
    send: SendTimes = SendTimes()
    hold_out: Decimal = Field(default=Decimal(0), ge=0, lt=1)
    consolidate: Literal["by_contact_point"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _schedule_in_short(cls, tree: Any) -> Any:
        if isinstance(tree, dict):
            tree = dict(tree)
            if "at" in tree and "schedule" not in tree:
                tree["schedule"] = {"at": tree.pop("at")}
            if isinstance(tree.get("schedule"), str) and tree["schedule"].strip().lower() in ON_DEMAND:
                tree["schedule"] = None
        return tree

    @field_validator("schedule", mode="before")
    @classmethod
    def _schedule_in_words(cls, said: Any) -> Any:
        if isinstance(said, str):
            raise ValueError('write {cron: "0 3 * * 1-5"}, {at: 2026-12-01T09:00} or on demand')
        return said

    @model_validator(mode="after")
    def _fits_together(self) -> "Campaign":
        if (self.segment is None) == (self.waterfall is None):
            raise ValueError("give either a segment or a waterfall")
        if self.flow != "dunning" and self.template is None:
            raise ValueError(f"a {self.flow} campaign needs a template")
        if self.flow != "dunning" and (self.levels or self.process):
            raise ValueError("process and levels belong to the flow dunning")
        return self

    @property
    def segments(self) -> tuple[str, ...]:
        """The segments in their order; a declared waterfall counts as one."""
        if self.segment is not None:
            return (self.segment,)
        return (self.waterfall,) if isinstance(self.waterfall, str) else tuple(self.waterfall or ())

    def zone(self, ws: Workspace) -> ZoneInfo:
        named = self.schedule.timezone if self.schedule else None
        return ZoneInfo(named) if named else ws.company.zone


@dataclass(frozen=True)
class DeclaredCampaign:
    """A campaign with the file and the marks it was read from."""

    campaign: Campaign
    file: Path
    tree: Any

    def mistake(self, path: tuple[Any, ...], message: str, *, remedy: str, value: object = None) -> InvalidDeclaration:
        line, column = position(self.tree, path)
        return InvalidDeclaration(message, file=self.file, line=line, column=column, value=value, remedy=remedy)


def usable_campaigns(ws: Workspace) -> tuple[dict[str, Campaign], list[InvalidDeclaration]]:
    """The campaigns that can run, by name, and what is wrong with the others' files; what they name is checked too."""
    usable, mistakes = usable_declarations(ws)
    return {one.campaign.campaign: one.campaign for one in usable}, mistakes


def usable_declarations(ws: Workspace) -> tuple[list[DeclaredCampaign], list[InvalidDeclaration]]:
    """The same with their files."""
    declared, mistakes = _read_each(ws)
    mistakes += mistakes_in(ws, declared)
    broken = {mistake.file for mistake in mistakes}
    return [one for one in declared if one.file not in broken], mistakes


def find_campaign(ws: Workspace, name: str) -> Campaign:
    """One campaign; a mistake in another file does not matter. Raises NotThere, InvalidDeclaration."""
    file = ws.policies / "campaigns" / f"{name}.yaml"
    declared = [_read(file)] if file.is_file() else []
    if not declared or declared[0].campaign.campaign != name:
        declared = [one for one in _read_each(ws)[0] if one.campaign.campaign == name]
    if not declared:
        raise NotThere("there is no such campaign", value=name, remedy="see `dunning campaign list`")
    for mistake in mistakes_in(ws, declared):
        raise mistake
    return declared[0].campaign


def _read_each(ws: Workspace) -> tuple[list[DeclaredCampaign], list[InvalidDeclaration]]:
    """The files by file name, each by itself; of two that use one name, the second is a mistake."""
    found: dict[str, DeclaredCampaign] = {}
    mistakes: list[InvalidDeclaration] = []
    for file in sorted((ws.policies / "campaigns").glob("*.y*ml")):
        try:
            one = _read(file)
        except InvalidDeclaration as error:
            mistakes.append(error)
            continue
        twin = found.setdefault(one.campaign.campaign.replace("-", "_"), one)  # as its schedule is named
        if twin is not one:
            message = f"{twin.campaign.campaign!r} is declared in {twin.file.name} too"
            mistakes.append(one.mistake(("campaign",), message, remedy="rename one"))
    return list(found.values()), mistakes


def _read(file: Path) -> DeclaredCampaign:
    tree = read_yaml(file)
    return DeclaredCampaign(validated(Campaign, tree, file), file, tree)
