"""Reads the folder of SQL models: files, what each refers to, and the properties and checks declared beside them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.yaml_files import plain, position, read_yaml
from dunning_pipeline.sql_models.folder.templating import Call, calls_of, column_of, did_you_mean
from dunning_pipeline.sql_models.segmenting.waterfalls import load_waterfalls, waterfall_template

MEMBER = "unified_account_id"  # what every segment yields
# nothing depends on these folders: a model of theirs that fails does not keep the others from being published
LEAF_SCHEMAS = ("segments", "reports")
WATERFALLS = "waterfalls.yml"  # read by waterfalls.py; dbt is told to ignore it


@dataclass(frozen=True)
class Check:
    """A rule that a table must keep; its SQL yields the failing rows."""

    name: str
    model: str | None  # None: a singular test over several models
    kind: str  # unique | not_null | accepted_values | relationships | singular
    column: str | None
    severity: str  # error | warn
    arguments: Mapping[str, Any]
    file: Path
    line: int
    text: str = ""
    refs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Properties:
    """What schema.yml says of a model."""

    description: str = ""
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Model:
    """One SQL file: folder = schema, file name = table."""

    name: str
    schema: str
    file: Path
    text: str
    refs: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    properties: Properties = field(default_factory=Properties)
    error: InvalidDeclaration | None = None  # found while reading; the model fails, the others go on

    @property
    def key(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def is_view(self) -> bool:
        return self.config.get("materialized") == "view"

    @cached_property
    def header(self) -> str:
        """The comment on top of the file, without its dashes."""
        lines = []
        for line in self.text.splitlines():
            if line.startswith("--"):
                lines.append(line.lstrip("- ").rstrip())
            elif line.strip() and not line.lstrip().startswith("{{ config"):
                break
        return "\n".join(lines)

    @property
    def description(self) -> str:
        return self.properties.description or self.header

    @property
    def meta(self) -> Mapping[str, Any]:
        return {**self.properties.meta, **self.config.get("meta", {})}

    @property
    def owner(self) -> str | None:
        found = re.search(r"Owner:\s*([\w-]+)", self.header)
        return found.group(1) if found else self.meta.get("owner")


@dataclass(frozen=True)
class Project:
    """The whole folder, read once."""

    folder: Path
    models: Mapping[str, Model]
    sources: Mapping[tuple[str, str], Mapping[str, str]]  # (source, table) → declared columns and types
    singular: tuple[Check, ...]
    variables: Mapping[str, Any]
    macro_files: tuple[Path, ...]

    def children(self, name: str) -> Iterator[str]:
        return (model.name for model in self.models.values() if name in model.refs)

    def ordered(self) -> list[Model]:
        """Models so that each comes after what it refers to; raises InvalidDeclaration for a circle."""
        sorter = TopologicalSorter({m.name: [r for r in m.refs if r in self.models] for m in self.models.values()})
        try:
            return [self.models[name] for name in sorter.static_order()]
        except CycleError as error:
            circle = error.args[1]
            model = self.models[circle[0]]
            raise InvalidDeclaration(
                f"models refer to each other in a circle: {' → '.join(circle)}", file=model.file, line=1
            ) from None


def load_project(folder: Path) -> Project:
    """The models below `folder` (its dbt_project.yml names the model folders).

    A mistake inside one SQL file is kept on its model; a broken YAML file or two models of one name raise
    InvalidDeclaration.
    """
    declared = plain(read_yaml(folder / "dbt_project.yml"))
    model_folders = [folder / path for path in declared.get("model-paths", ["models"])]
    properties: dict[str, Properties] = {}
    sources: dict[tuple[str, str], Mapping[str, str]] = {}
    for file in _files(model_folders, "*.yml"):
        if file.name != WATERFALLS:
            _read_properties(file, properties, sources)
    texts: dict[str, Path] = {}
    for file in _files(model_folders, "*.sql"):
        same = next((name for name in texts if name.casefold() == file.stem.casefold()), None)  # to DuckDB it is
        if same is not None:
            raise InvalidDeclaration(f"a second model named {file.stem!r}; the first is {texts[same]}", file=file)
        texts[file.stem] = file
    models = {
        name: read_model_file(file, _text(file), set(texts), sources, properties.get(name))
        for name, file in texts.items()
    }
    for waterfall in load_waterfalls(folder / "segments" / WATERFALLS):
        file, text = folder / "segments" / WATERFALLS, waterfall_template(waterfall)
        if waterfall.waterfall in models:
            raise InvalidDeclaration(f"a waterfall and a model are both named {waterfall.waterfall!r}", file=file)
        read = read_model_file(file, text, set(texts), sources)
        models[waterfall.waterfall] = replace(read, name=waterfall.waterfall)
    models = {name: _with_member_checks(model) for name, model in models.items()}
    test_folders = [folder / path for path in declared.get("test-paths", ["tests"])]
    return Project(
        folder=folder,
        models=models,
        sources=sources,
        singular=tuple(_singular(file) for file in _files(test_folders, "*.sql")),
        variables=declared.get("vars") or {},
        macro_files=tuple(_files([folder / path for path in declared.get("macro-paths", ["macros"])], "*.sql")),
    )


def _text(file: Path) -> str | InvalidDeclaration:
    try:
        return sql_text(file)
    except InvalidDeclaration as error:
        return error


def sql_text(file: Path) -> str:
    """The text of an SQL file with \\n line ends; raises InvalidDeclaration where it is not UTF-8."""
    content = file.read_bytes()
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidDeclaration(
            f"not UTF-8 text: {error.reason}", file=file, line=line, remedy="save it as UTF-8"
        ) from None


def read_model_file(
    file: Path,
    text: str | InvalidDeclaration,
    names: set[str],
    sources: Mapping[tuple[str, str], Any],
    properties: Properties | None = None,
) -> Model:
    """One SQL text as a model; what is wrong with it is kept in `error` instead of being raised."""
    properties = properties or Properties()
    schema = file.parent.name
    if isinstance(text, InvalidDeclaration):
        return Model(file.stem, schema, file, "", properties=properties, error=text)
    try:
        calls = calls_of(text, file, ("ref", "source", "config"))
        refs = tuple(dict.fromkeys(str(c.arguments[-1]) for c in calls if c.function == "ref" and c.arguments))
        used = tuple(dict.fromkeys((str(c.arguments[0]), str(c.arguments[-1])) for c in calls if _is_source(c)))
        config = {key: value for c in calls if c.function == "config" for key, value in c.options.items()}
    except InvalidDeclaration as error:
        return Model(file.stem, schema, file, text, properties=properties, error=error)
    error_found = next(_unknown_names(calls, text, file, names, sources), None)
    return Model(file.stem, schema, file, text, refs, used, config, properties, error_found)


def _with_member_checks(model: Model) -> Model:
    """A segment has one row per unified account, whether its author says so or not."""
    if model.schema != "segments":
        return model
    stated = {(check.kind, check.column) for check in model.properties.checks}
    implied = tuple(
        Check(f"{kind}_{model.name}_{MEMBER}", model.name, kind, MEMBER, "error", {}, model.file, 1)
        for kind in ("unique", "not_null")
        if (kind, MEMBER) not in stated
    )
    return replace(model, properties=replace(model.properties, checks=(*model.properties.checks, *implied)))


def _is_source(call: Call) -> bool:
    return call.function == "source" and len(call.arguments) > 1


def _unknown_names(
    calls: Iterable[Call], text: str, file: Path, names: set[str], sources: Mapping[tuple[str, str], Any]
) -> Iterator[InvalidDeclaration]:
    for call in calls:
        if call.function == "ref" and call.arguments and call.arguments[-1] == file.stem:
            word, message = file.stem, f"{file.stem} refers to itself"
            hint = "ref() names the model that it is made from"
        elif call.function == "ref" and call.arguments and call.arguments[-1] not in names:
            word = str(call.arguments[-1])
            message, hint = f"ref({word!r}) names no model", did_you_mean(word, names, "there is no file of that name")
        elif _is_source(call) and tuple(map(str, call.arguments[:2])) not in sources:
            word = str(call.arguments[1])
            known = [table for source, table in sources if source == call.arguments[0]]
            message = f"source({call.arguments[0]!r}, {word!r}) is not declared"
            hint = did_you_mean(word, known, "declare it under `sources:` in a .yml file of this folder")
        else:
            continue
        yield InvalidDeclaration(
            message, file=file, line=call.line, column=column_of(text, call.line, word), remedy=hint
        )


def _files(folders: Iterable[Path], pattern: str) -> list[Path]:
    return sorted(file for folder in folders if folder.is_dir() for file in folder.rglob(pattern))


def _singular(file: Path) -> Check:
    text = file.read_text(encoding="utf-8")
    calls = calls_of(text, file, ("ref", "config"))
    severity = next((c.options["severity"] for c in calls if "severity" in c.options), "error")
    refs = tuple(str(c.arguments[-1]) for c in calls if c.function == "ref")
    return Check(file.stem, None, "singular", None, severity, {}, file, 1, text, refs)


def _read_properties(file: Path, models: dict[str, Properties], sources: dict[tuple[str, str], Any]) -> None:
    tree = read_yaml(file)
    content = plain(tree)
    for number, entry in enumerate(content.get("models") or []):
        columns = {column["name"]: column for column in entry.get("columns") or []}
        checks = [
            _generic(entry["name"], column["name"], test, file, position(tree, ("models", number, "columns", at))[0])
            for at, column in enumerate(entry.get("columns") or [])
            for test in column.get("data_tests") or column.get("tests") or []
        ]
        meta = entry.get("meta") or (entry.get("config") or {}).get("meta") or {}
        models[entry["name"]] = Properties(entry.get("description", ""), columns, meta, tuple(checks))
    for entry in content.get("sources") or []:
        for table in entry.get("tables") or []:
            columns = {c["name"]: c.get("data_type", "varchar") for c in table.get("columns") or []}
            sources[(entry["name"], table["name"])] = columns


def _generic(model: str, column: str, test: Any, file: Path, line: int) -> Check:
    kind, settings = (test, {}) if isinstance(test, str) else next(iter(test.items()))
    settings = settings or {}
    arguments = settings.get("arguments") or {k: v for k, v in settings.items() if k not in ("config", "severity")}
    severity = (settings.get("config") or {}).get("severity") or settings.get("severity") or "error"
    if kind not in ("unique", "not_null", "accepted_values", "relationships"):
        raise InvalidDeclaration(
            f"{kind!r} is no test of this runner",
            file=file,
            line=line,
            remedy="use unique, not_null, accepted_values or relationships, or write a file in tests/",
        )
    return Check(f"{kind}_{model}_{column}", model, kind, column, str(severity).lower(), arguments, file, line)
