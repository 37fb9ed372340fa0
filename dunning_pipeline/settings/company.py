"""Reads policies/company.yaml: who sends, in which time zone, at which hour, under which house rules."""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dunning_pipeline.settings.yaml_files import read_yaml, validated


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name!r} is no IANA time zone; write one such as Europe/Berlin") from None
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]
Hour = Annotated[int, Field(ge=0, le=23)]


class Declared(BaseModel):
    """Base of everything that is read from YAML: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PostalAddress(Declared):
    street: str
    city: str
    postal_code: str
    country: str = Field(pattern="^[A-Z]{2}$")
    state: str | None = None


class BankAccount(Declared):
    holder: str | None = None
    iban: str | None = None
    bic: str | None = None
    bank_name: str | None = None


class NumberSeries(Declared):
    """Gapless series of statement numbers; the pattern may use {year} and {n} (with a width, as in {n:06d})."""

    dunning: str = "D-{year}-{n:06d}"
    account: str = "S-{year}-{n:06d}"


class LegalEntity(Declared):
    """A creditor other than the company itself; invoices name it in their legal entity column."""

    name: str
    address: PostalAddress
    bank: BankAccount | None = None
    email: str | None = None


class Company(Declared):
    name: str
    address: PostalAddress
    country: str = Field(pattern="^[A-Z]{2}$")
    time_zone: TimeZone
    default_language: str = "en"
    languages: tuple[str, ...] = ("en",)
    email_from: str
    email_reply_to: str | None = None
    phone: str | None = None
    website: str | None = None
    vat_id: str | None = None
    registry: str | None = None
    logo: str | None = None  # path inside templates/
    bank: BankAccount | None = None
    legal_entities: dict[str, LegalEntity] = {}
    default_process: str | None = None
    send_hour: Hour = 3
    number_series: NumberSeries = NumberSeries()
    consent_for_dunning: Literal["transactional", "required"] = "transactional"
    payment_data_max_age_hours: int = Field(default=36, ge=1)
    holidays: str | None = None  # calendar of the `holidays` library, such as DE or DE-BY
    email_quiet_hours: str | None = None  # such as 21:00-07:00; none means at any hour
    sms_hours: str = "08:00-21:00"  # local time of the recipient (domain §9)
    fatigue_cap_per_week: int | None = Field(default=None, ge=1)
    four_eyes_above: dict[str, str] = {}  # closing above this amount per currency needs a second person
    distribution_target: str | None = None  # folder or fsspec URL for PDFs, such as s3://bucket/letters
    payment_page: str | None = None  # https URL; {invoice_number} and {statement_number} are filled in
    public_url: str | None = None  # where preference and unsubscribe links point to
    default_party: Literal["business", "consumer"] = "business"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def is_shipped_example(self) -> bool:
        """Whether nobody has put their own company in its place yet (RFC 2606: `.example` is nobody's)."""
        return ".example" in self.email_from


def load_company(file: Path) -> Company:
    """The company declaration; raises InvalidDeclaration with file, line and column."""
    return validated(Company, read_yaml(file), file)
