"""Checks every process of a workspace against its surroundings: templates, translations, laws, segments, rates."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from dunning_pipeline.dunning.processes import DeclaredProcess, Level, read_process
from dunning_pipeline.errors import InvalidDeclaration, NotThere
from dunning_pipeline.law.packs import load_laws
from dunning_pipeline.settings.workspace import Workspace

_WRITTEN: tuple[Literal["email", "letter", "sms"], ...] = ("email", "letter", "sms")


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong (error) or that somebody should know (warning), with its place."""

    severity: Literal["error", "warning"]
    error: InvalidDeclaration

    def as_json(self) -> dict[str, Any]:
        e = self.error
        return {
            "severity": self.severity, "file": str(e.file), "line": e.line, "column": e.column, "message": e.message,
            "remedy": e.remedy,
        }  # fmt: skip


def check_processes(ws: Workspace, *, currencies: set[str] | None = None) -> list[Mistake]:
    """All mistakes of all process files, in the order of the files.

    `currencies` are those of the published invoices: a fee must have an entry or a rate for each. Nothing is raised
    for a wrong file; it is in the list.
    """
    found: list[Mistake] = []
    names: dict[str, DeclaredProcess] = {}
    files = sorted((ws.policies / "processes").glob("*.y*ml"))
    for file in files:
        try:
            declared = read_process(file)
        except InvalidDeclaration as error:
            found.append(Mistake("error", error))
            continue
        name = declared.process.process
        if name in names:
            message = f"a second process named {name!r}; the first is {names[name].file}"
            found.append(Mistake("error", declared.mistake(("process",), message, remedy="rename one of them")))
        names.setdefault(name, declared)
        found += _first_fee(ws, declared)
        for index, level in enumerate(declared.process.levels):
            found += _level(ws, declared, index, level, currencies or set())
    default = ws.company.default_process
    is_whole = len(names) == len(files)  # else it may be the unreadable one
    if default and default not in names and default != "none" and is_whole:
        found.append(Mistake("error", _company_default(ws, default, names)))
    return found


def _level(
    ws: Workspace, declared: DeclaredProcess, index: int, level: Level, currencies: set[str]
) -> Iterator[Mistake]:
    yield from _templates(ws, declared, index, level)
    laws = load_laws(ws)
    for key, law in (("interest", level.interest and level.interest.law), ("compensation", level.compensation)):
        code = law if isinstance(law, str) else getattr(law, "law", None)
        if code and code not in laws:
            message = f"level {level.level}: there is no law pack {code!r}"
            remedy = f"one of: {', '.join(laws) or 'none is declared'}"
            yield Mistake("error", declared.mistake(("levels", index, key), message, remedy=remedy))
    if level.segment and not any((ws.models / "segments").glob(f"{level.segment}.sql")):
        message = f"level {level.level}: there is no segment {level.segment!r}"
        remedy = f"add dbt_like_sql/segments/{level.segment}.sql"
        yield Mistake("error", declared.mistake(("levels", index, "segment"), message, remedy=remedy))
    if level.fee is not None and level.fee.amounts:
        yield from _fee(declared, index, level, currencies)


def _first_fee(ws: Workspace, declared: DeclaredProcess) -> Iterator[Mistake]:
    """A German creditor's consumers; a process that names German interest is refused by its rules already."""
    process = declared.process
    if ws.company.country != "DE" or (process.party or ws.company.default_party) != "consumer":
        return
    first = next((i for i, level in enumerate(process.levels) if not level.is_notice), None)
    if first is not None and process.levels[first].fee is not None:
        message = (
            f"level {process.levels[first].level}: in Germany the first reminder to a consumer carries no fee "
            "(§ 286, § 288 BGB); it is left out"
        )
        yield Mistake("error", declared.mistake(("levels", first, "fee"), message, remedy="remove the fee here"))


def _templates(ws: Workspace, declared: DeclaredProcess, index: int, level: Level) -> Iterator[Mistake]:
    from dunning_pipeline.letters.catalogue import Catalogue
    from dunning_pipeline.letters.subjects import is_of_digests

    catalogue, place = Catalogue(ws), ("levels", index, "template")
    for channel in _WRITTEN:
        if channel not in level.channels:
            continue
        for language in dict.fromkeys((ws.company.default_language, *ws.company.languages)):
            try:
                source = catalogue.find(level.template, channel, language)
            except NotThere:
                message = f"level {level.level}: there is no template {level.template!r} for {channel}"
                remedy = f"add it under templates/{channel}/{language}/"
                yield Mistake("error", declared.mistake(place, message, remedy=remedy))
                break
            if is_of_digests(source):
                message = f"level {level.level}: {level.template!r} lists several accounts; a reminder is of one"
                remedy = "name a template of reminders; digests belong to campaigns with consolidate"
                yield Mistake("error", declared.mistake(place, message, remedy=remedy))
                break
            found = source.language
            if found.split("-")[0] != language.split("-")[0]:
                message = f"level {level.level}: {level.template!r} for {channel} is not translated to {language}"
                remedy = f"add it under templates/{channel}/{language}/; until then it is sent in {found}"
                yield Mistake("warning", declared.mistake(place, message, remedy=remedy))


def _fee(declared: DeclaredProcess, index: int, level: Level, currencies: set[str]) -> Iterator[Mistake]:
    assert level.fee is not None
    for currency in sorted(currencies - set(level.fee.amounts)):
        message = f"level {level.level}: the fee has no entry for {currency} and there is no exchange rate for it"
        remedy = f"add {currency} to the fee, or its rate to inbox/fx/rates.csv"
        yield Mistake("error", declared.mistake(("levels", index, "fee"), message, remedy=remedy))


def _company_default(ws: Workspace, default: str, names: dict[str, DeclaredProcess]) -> InvalidDeclaration:
    from dunning_pipeline.settings.yaml_files import position, read_yaml

    file = ws.policies / "company.yaml"
    line, column = position(read_yaml(file), ("default_process",))
    remedy = f"one of: {', '.join(names) or 'none is declared'}, or leave it out"
    return InvalidDeclaration(
        f"default_process {default!r} does not exist", file=file, line=line, column=column, remedy=remedy
    )


def currencies_without_rate(ws: Workspace) -> set[str]:
    """Currencies of the published invoices for which no exchange rate is known; empty before the first build."""
    from dunning_pipeline.sql_models.snapshot import open_snapshot

    try:
        con = open_snapshot(ws)
    except NotThere:
        return set()
    try:
        rows = con.execute(
            """
            select distinct currency from data_model.invoices
            where currency is not null
                and currency not in (select base from data_model.fx_rates union select quote from data_model.fx_rates)
            """
        ).fetchall()
        return {currency for (currency,) in rows}
    finally:
        con.close()
