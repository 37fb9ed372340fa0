"""The normalisers by name, each a function of text columns to text columns, so that any engine can run them on distinct values."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from typing import Any

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
    """`function` takes one text per input and gives one text (or None) per output.

    Two values are the same if their first `telling` outputs are; the first `needed` of these must be there.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    function: Callable[..., tuple[str | None, ...]]
    telling: int = 1
    needed: int = 1
    chunk: int = 20_000

    @property
    def columns(self) -> dict[str, str]:
        """Column → SQL type of the value cache."""
        return {"raw_key": "varchar", "value_id": "bigint"} | dict.fromkeys(self.outputs, "varchar")

    def apply(self, raw_keys: Iterable[str]) -> list[tuple[Any, ...]]:
        """One row (raw_key, value_id, *outputs) per raw key; a raw key is the inputs joined by SEPARATOR.

        The value id stands for the value wherever values are only compared: eight bytes of its hash, the same on every
        engine, so that joins need no text. None where the value identifies nobody.
        """
        return [self._row(key, self.function(*key.split(SEPARATOR))) for key in raw_keys]

    def _row(self, key: str, values: tuple[str | None, ...]) -> tuple[Any, ...]:
        if None in values[: self.needed]:
            return key, None, *values
        telling = SEPARATOR.join(value or "" for value in values[: self.telling])
        digest = hashlib.blake2b(telling.encode("utf-8", "replace"), digest_size=8).digest()
        return key, int.from_bytes(digest, "big", signed=True), *values


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
            ("given", "family", "generation", "given_letters", "family_letters", "given_root", "problem"),
            normalised_person,
            telling=3,
            needed=2,
        ),
        Normaliser(
            "companies", ("name",), ("core", "form", "first_word", "word_set", "problem"), normalised_company, telling=2
        ),
        Normaliser("official_ids", ("kind", "raw", "country"), ("value", "problem"), normalised_official_id),
    )
}


def normalisers_version() -> str:
    """Changes with the tables, the libraries and the code of the normalisers: cached values of another version are dropped.

    DuckDB is among the libraries: cached names carry its hashes, and another version may count otherwise.
    """
    names = ("duckdb", "phonenumbers", "email-validator", "rigour", "python-stdnum")
    libraries = [f"{name}={version(name)}" for name in names]
    return "|".join(chain([CODE_VERSION, tables_version()], libraries))


CODE_VERSION = "4"  # raise it when a normaliser gives other values than before


def apply_by_name(name: str, raw_keys: list[str]) -> list[tuple[Any, ...]]:
    """`NORMALISERS[name].apply(raw_keys)`; a plain function, so that worker processes and Spark can import it."""
    return NORMALISERS[name].apply(raw_keys)
