"""The normalisers by name, each a function of text columns to text columns, so that any engine can run them on distinct values."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain

from dunning_pipeline.identity.values.addresses import normalised_address
from dunning_pipeline.identity.values.companies import normalised_company
from dunning_pipeline.identity.values.emails import normalised_email
from dunning_pipeline.identity.values.persons import normalised_person
from dunning_pipeline.identity.values.phones import normalised_phone
from dunning_pipeline.identity.values.tax_ids import normalised_official_id
from dunning_pipeline.identity.values.words import tables_version

SEPARATOR = "\x1f"  # between the inputs of one raw key; sources cannot write it, `cleaned` drops it


@dataclass(frozen=True)
class Normaliser:
    """`function` takes one text per input and gives one text (or None) per output."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    function: Callable[..., tuple[str | None, ...]]
    chunk: int = 20_000

    def apply(self, raw_keys: Iterable[str]) -> list[tuple[str | None, ...]]:
        """One row (raw_key, *outputs) per raw key; a raw key is the inputs joined by SEPARATOR."""
        return [(key, *self.function(*key.split(SEPARATOR))) for key in raw_keys]


NORMALISERS = {
    normaliser.name: normaliser
    for normaliser in (
        Normaliser("emails", ("email",), ("value", "domain", "mailbox", "problem"), normalised_email),
        Normaliser("phones", ("phone", "country"), ("value", "type", "problem"), normalised_phone),
        Normaliser(
            "addresses",
            ("street", "city", "postal_code", "state", "country"),
            ("value", "postal_code", "city", "problem"),
            normalised_address,
        ),
        Normaliser(
            "persons",
            ("first_name", "last_name", "full_name"),
            ("given", "family", "generation", "given_letters", "family_letters", "problem"),
            normalised_person,
        ),
        Normaliser("companies", ("name",), ("core", "form", "first_word", "word_set", "problem"), normalised_company),
        Normaliser("official_ids", ("kind", "raw", "country"), ("value", "problem"), normalised_official_id),
    )
}


def normalisers_version() -> str:
    """Changes with the tables, the libraries and the code of the normalisers: cached values of another version are dropped."""
    libraries = [f"{name}={version(name)}" for name in ("phonenumbers", "email-validator", "rigour", "python-stdnum")]
    return "|".join(chain([CODE_VERSION, tables_version()], libraries))


CODE_VERSION = "2"  # raise it when a normaliser gives other values than before


def apply_by_name(name: str, raw_keys: list[str]) -> list[tuple[str | None, ...]]:
    """`NORMALISERS[name].apply(raw_keys)`; a plain function, so that worker processes and Spark can import it."""
    return NORMALISERS[name].apply(raw_keys)
