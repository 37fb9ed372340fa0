"""Dunning processes as declared in policies/processes/*.yaml: the checked model, its content hash, the loader."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from dunning_pipeline.errors import InvalidDeclaration, InvalidInput
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.money import minor_unit
from dunning_pipeline.settings.company import Declared
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.settings.yaml_files import position, read_yaml, validated

NEVER = "none"  # reserved process name: never dunned
Channel = Literal["email", "sms", "letter", "payment_retry", "task"]
CHANNELS: tuple[str, ...] = get_args(Channel)
DayCount = Literal["act/365", "act/360", "30/360"]
Party = Literal["business", "consumer"]


def _known_currency(code: str) -> str:
    try:
        minor_unit(code)
    except InvalidInput as error:
        raise ValueError(error.message) from None
    return code


Currency = Annotated[str, AfterValidator(_known_currency)]
Amount = Annotated[Decimal, Field(ge=0, max_digits=19, decimal_places=4)]
Percent = Annotated[Decimal, Field(ge=0, le=100, decimal_places=4)]
Amounts = dict[Currency, Amount]


class When(Declared):
    """The anchor of a level: `days` after (negative: before) a date, moved to the end of that month if wanted."""

    days: int = Field(ge=-365, le=3650)
    end_of_month: bool = False
    after: Literal["due_date", "last_statement", "last_deadline", "plan_due_date"] = "due_date"


class Fee(Declared):
    """`{EUR: 5.00}` or `{percent: 1, base: open_principal}`; `per: item` charges each advancing item."""

    amounts: Amounts = Field(default_factory=dict)
    percent: Percent | None = None
    base: Literal["open_principal"] = "open_principal"
    per: Literal["statement", "item"] = "statement"

    @model_validator(mode="before")
    @classmethod
    def _currencies_are_keys(cls, value: Any) -> Any:
        return _currencies_apart(value, known=("amounts", "percent", "base", "per"))

    @model_validator(mode="after")
    def _one_kind(self) -> "Fee":
        if bool(self.amounts) == (self.percent is not None):
            raise ValueError("give amounts per currency, such as {EUR: 5.00}, or a percent, and not both")
        return self


class Interest(Declared):
    """`{law: DE, party: business}`, `{annual_percent: 9.0}` or `{monthly_percent: 1.5, day_count: 30/360}`."""

    law: str | None = None
    party: Party | None = None
    annual_percent: Percent | None = None
    monthly_percent: Percent | None = None
    day_count: DayCount | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Interest":
        if sum(kind is not None for kind in (self.law, self.annual_percent, self.monthly_percent)) != 1:
            raise ValueError("give exactly one of law, annual_percent, monthly_percent")
        return self

    @property
    def counted(self) -> DayCount:
        return self.day_count or ("30/360" if self.monthly_percent is not None else "act/365")


class Compensation(Declared):
    law: str


class IgnoreBelow(Declared):
    ignore_below: Amounts


class Level(Declared):
    level: int = Field(ge=1, le=99)
    name: str = ""
    when: When
    template: str = Field(pattern=r"^[a-z0-9_][a-z0-9_-]*$")
    due_in_days: int = Field(default=7, ge=0, le=365)
    fee: Fee | None = None
    interest: Interest | None = None
    compensation: Compensation | None = None
    minimum: Amounts = Field(default_factory=dict)
    percent_of_open: Percent = Decimal(0)
    condition: str = ""
    segment: str | None = None
    channels: tuple[Channel, ...] = ("email",)
    approval: Literal["automatic", "review"] = "review"
    attach_invoices: bool = True
    do_not_send: bool = False
    agency_handover: bool = False

    @property
    def is_notice(self) -> bool:
        """Before or on the due date: never counts for sequence or interval."""
        return self.when.days <= 0 and self.when.after in ("due_date", "plan_due_date")


class Process(Declared):
    process: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = ""
    party: Party | None = None  # whom the process is for; default: what the account says
    unit: Literal["account", "bill_group", "invoice"] = "bill_group"
    grouping: Literal["aggregate", "per_level"] = "aggregate"
    escalation: Literal["sequential", "catch_up"] = "sequential"
    netting: Literal["show", "ignore", "block"] = "show"
    grace_days: int = Field(default=0, ge=0, le=365)
    minimum_days: int = Field(default=0, ge=0, le=3650)
    min_interval_days: int = Field(default=0, ge=0, le=365)
    tolerance: Amounts = Field(default_factory=dict)
    minimum: Amounts = Field(default_factory=dict)
    percent_of_open: Percent = Decimal(0)
    charges_only: Literal["waive", "claim"] | IgnoreBelow = "waive"
    max_promises: int | None = Field(default=None, ge=0)  # further promises do not hold dunning back
    cc: tuple[Literal["role", "account_ccs"], ...] = ("role", "account_ccs")
    freeze: bool = True
    migrate: Literal["by_level"] | None = None  # running cases move to this version, keeping their level number
    levels: tuple[Level, ...] = Field(min_length=1)


@dataclass(frozen=True)
class DeclaredProcess:
    """A valid process with the file that it came from."""

    process: Process
    file: Path
    tree: Any

    @property
    def content(self) -> dict[str, Any]:
        return self.process.model_dump(mode="json")

    @property
    def process_hash(self) -> str:
        return process_hash(self.content)

    def mistake(self, path: tuple[Any, ...], message: str, *, remedy: str, value: object = None) -> InvalidDeclaration:
        """The error for the key at `path`, with file, line and column."""
        line, column = position(self.tree, path)
        return InvalidDeclaration(message, file=self.file, line=line, column=column, value=value, remedy=remedy)


def process_hash(content: Mapping[str, Any]) -> str:
    """The version of a process: sha256 of its validated content; comments and key order do not count."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def read_process(file: Path) -> DeclaredProcess:
    """One process file, its form and its rules checked; raises InvalidDeclaration with file, line and column."""
    status = file.stat()
    return _read_process(file, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _read_process(file: Path, modified_ns: int, size: int) -> DeclaredProcess:
    from dunning_pipeline.dunning.process_rules import check_rules

    tree = read_yaml(file)
    declared = DeclaredProcess(validated(Process, tree, file), file, tree)
    check_rules(declared)
    return declared


def load_processes(ws: Workspace) -> dict[str, DeclaredProcess]:
    """Every process of the workspace by name; raises InvalidDeclaration for the first file that is wrong."""
    found: dict[str, DeclaredProcess] = {}
    for file in sorted((ws.policies / "processes").glob("*.y*ml")):
        declared = read_process(file)
        name = declared.process.process
        if name in found:
            raise declared.mistake(
                ("process",), f"a second process named {name!r}; the first is {found[name].file}", remedy="rename one"
            )
        found[name] = declared
    return found


def _currencies_apart(value: Any, *, known: tuple[str, ...]) -> Any:
    if not isinstance(value, dict):
        return value
    amounts = {key: amount for key, amount in value.items() if isinstance(key, str) and key.isupper()}
    rest = {key: item for key, item in value.items() if key not in amounts}
    return {**rest, "amounts": {**rest.get("amounts", {}), **amounts}} if amounts else rest
