"""Law packs: dated, sourced tables of default interest and lump sums in policies/law/*.yaml, and their import."""

import csv
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field
from ruamel.yaml import YAML

from dunning_pipeline.errors import InvalidDeclaration, InvalidInput, NotThere
from dunning_pipeline.settings.company import Declared
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.settings.yaml_files import position, read_yaml, validated

Party = Literal["business", "consumer"]


class Rate(Declared):
    """A base or reference rate in per cent per year, from a day on."""

    valid_from: date = Field(validation_alias=AliasChoices("from", "valid_from"))
    percent: Decimal = Field(ge=-20, le=100, decimal_places=4)
    source: str | None = None  # where it differs from the pack's


class LumpSum(Declared):
    """Statutory compensation for a debt of at least `from` major units, as {currency: amount}."""

    party: Party = "business"
    valid_from_amount: Decimal = Field(default=Decimal(0), validation_alias=AliasChoices("from", "valid_from_amount"))
    amount: dict[str, Decimal] = Field(min_length=1, max_length=1)


class LawPack(Declared):
    law: str = Field(pattern="^[A-Z]{2}[A-Z0-9_-]*$")
    name: str
    basis: str
    source: str
    rule: Literal["floating", "fixed_at_start", "none"]
    known_until: date | None = None
    margins: dict[Party, Decimal] = Field(default_factory=dict)
    compensation: tuple[LumpSum, ...] = ()
    rates: tuple[Rate, ...] = ()


@dataclass(frozen=True)
class DeclaredLaw:
    pack: LawPack
    file: Path


def load_laws(ws: Workspace) -> dict[str, DeclaredLaw]:
    """Every pack by its law code; raises InvalidDeclaration with file, line and column."""
    found: dict[str, DeclaredLaw] = {}
    for file in sorted((ws.policies / "law").glob("*.y*ml")):
        status = file.stat()
        pack = _read_pack(file, status.st_mtime_ns, status.st_size)
        if pack.law in found:
            raise InvalidDeclaration(f"a second pack for {pack.law}; the first is {found[pack.law].file}", file=file)
        found[pack.law] = DeclaredLaw(pack, file)
    return found


@lru_cache(maxsize=64)
def _read_pack(file: Path, modified_ns: int, size: int) -> LawPack:
    tree = read_yaml(file)
    pack = validated(LawPack, tree, file)
    _check_order(pack, tree, file)
    return pack


def find_law(ws: Workspace, law: str) -> DeclaredLaw:
    """The pack of that code; raises NotThere."""
    laws = load_laws(ws)
    if law.upper() not in laws:
        known = ", ".join(laws) or "none is declared"
        raise NotThere(f"there is no law pack {law!r}", remedy=f"one of: {known}; or write policies/law/*.yaml for it")
    return laws[law.upper()]


def import_rates(ws: Workspace, *, law: str, file: Path, known_until: date, source: str) -> int:
    """Add the rows of a CSV (`from,percent`, decimal point, ISO dates) to a pack, keeping its comments; rows added.

    A row that is there already is left out; one that contradicts a known rate is refused with its line, and nothing
    is written. Raises InvalidInput (no rows, no source or a `known_until` before what is known, too) and NotThere.
    """
    declared = find_law(ws, law)
    _check_import(declared.pack, known_until, source)
    rows = _read_rates(file)
    known = {rate.valid_from: rate.percent for rate in declared.pack.rates}
    fresh = []
    for line, row in rows:
        if row.valid_from not in known:
            known[row.valid_from] = row.percent
            fresh.append(row)
        elif known[row.valid_from] != row.percent:
            raise InvalidInput(
                f"{declared.pack.law} has {known[row.valid_from]} % from {row.valid_from}, not {row.percent} %",
                file=file,
                line=line,
                remedy="check the source; correct the pack by hand if it is wrong",
            )
    if not rows or known_until < max(known):
        raise InvalidInput(
            f"known until {known_until}, which is before the last rate" if rows else "no rates in this file",
            file=file,
            remedy="columns: from, percent; the rates are known at least until the last of these days",
        )
    _write_rates(declared.file, fresh, known_until, source)
    return len(fresh)


def _check_import(pack: LawPack, known_until: date, source: str) -> None:
    if pack.rule == "none":
        raise InvalidInput(f"{pack.name} knows no interest by law", value=pack.law, remedy="rates would count nowhere")
    if not source.strip():
        raise InvalidInput("a rate needs its official source", remedy="name it with --source")
    if pack.known_until is not None and known_until < pack.known_until:
        raise InvalidInput(
            f"{pack.law} is known until {pack.known_until} already", value=known_until, remedy="name a later day"
        )


def _read_rates(file: Path) -> list[tuple[int, Rate]]:
    if not file.is_file():
        raise NotThere(f"there is no file {file}")
    rows = []
    with file.open(encoding="utf-8-sig", newline="") as stream:
        for line, row in enumerate(csv.DictReader(stream), 2):
            try:
                if None in row:  # more cells than columns: a decimal comma, most likely
                    raise ValueError
                rows.append((line, Rate.model_validate({"from": row["from"], "percent": row["percent"]})))
            except (KeyError, ValueError):
                raise InvalidInput(
                    "no rate in this row", file=file, line=line, value=dict(row), remedy="columns: from, percent"
                ) from None
    return rows


def _write_rates(file: Path, rows: list[Rate], known_until: date, source: str) -> None:
    from ruamel.yaml.comments import CommentedMap

    yaml = YAML(typ="rt")
    yaml.width = 200
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)  # as the packs are written: only what is new differs
    tree: Any = yaml.load(file.read_text(encoding="utf-8"))
    for row in sorted(rows, key=lambda rate: rate.valid_from):
        entry = CommentedMap({"from": row.valid_from, "percent": float(row.percent), "source": source})
        entry.fa.set_flow_style()
        tree["rates"].append(entry)
    tree["rates"].sort(key=lambda entry: entry["from"])
    tree["known_until"] = known_until
    partial = file.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as stream:
        yaml.dump(tree, stream)
    partial.replace(file)


def _check_order(pack: LawPack, tree: Any, file: Path) -> None:
    for index, (earlier, later) in enumerate(zip(pack.rates, pack.rates[1:], strict=False), 1):
        if later.valid_from <= earlier.valid_from:
            line, column = position(tree, ("rates", index, "from"))
            raise InvalidDeclaration(
                f"{later.valid_from} comes after {earlier.valid_from}",
                file=file,
                line=line,
                column=column,
                remedy="sort the rates by date, each date once",
            )
