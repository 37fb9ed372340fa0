"""Reads policies/streams/*.yaml: which objects a source has, how its files are written, and how they map to DMOs."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.company import Declared
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.settings.yaml_files import position, read_yaml, validated

ColumnType = Literal["text", "integer", "decimal", "rate", "boolean", "date", "timestamp"]


class Format(Declared):
    """How the files of a source or object are written."""

    file_type: Literal["csv", "json", "parquet"] = "csv"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    encoding: str = "auto"  # auto: UTF-8, else UTF-16 by its mark, else cp1252 where the bytes allow nothing else
    decimal: Literal[".", ","] = "."
    thousands: Literal[".", ",", "'", " "] | None = None
    currency_signs: bool = False  # EUR, €, $ … before or after amounts are taken off
    date: str = "iso"  # iso, or a strptime format such as %d.%m.%Y
    timestamp: str = "iso"
    true_values: tuple[str, ...] = ("true", "t", "1", "yes", "y")
    false_values: tuple[str, ...] = ("false", "f", "0", "no", "n")


class Column(Declared):
    """One typed column; `aliases` are other header names of the same thing, the first that has a value counts."""

    type: ColumnType
    aliases: tuple[str, ...] = ()
    format: str | None = None  # of this column's dates, where it differs from the file's
    decimal: Literal[".", ","] | None = None
    thousands: Literal[".", ",", "'", " "] | None = None
    currency_signs: bool | None = None


def _as_column(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


ShortColumn = Annotated[Column, BeforeValidator(_as_column)]


class StreamObject(Declared):
    """One object of a source: its files, its key, its typed columns."""

    file: str | None = None  # the file's name without suffix where it is not the object's name
    key: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    deleted: str | None = None
    incremental: bool = False
    allow_empty: bool = False  # a full extract without rows closes everything
    rows_without_key: Literal["reject", "skip"] = "reject"
    format: dict[str, Any] = Field(default_factory=dict)
    columns: dict[str, ShortColumn] = Field(default_factory=dict)
    query: str | None = None  # sql sources: the SELECT; salesforce_bulk: a WHERE condition


class ValueMap(Declared):
    """`from` an expression, through `values` (case-insensitive); what is in none of them becomes `otherwise`."""

    source_expression: str = Field(alias="from")
    values: dict[str, str]
    otherwise: str | None = None
    empty: str | None = None


class Constant(Declared):
    value: str | int | bool | None


class Lookup(Declared):
    """Another object of the same source, joined by its key so that expressions can name `<lookup>.<Column>`."""

    object: str
    by: str  # expression over the mapped object's columns
    key: str | None = None  # column of the looked-up object; its only key column by default


FieldExpression = str | ValueMap | Constant


class Mapping(Declared):
    """DLO → DMO: one row of the object becomes one row of the DMO; `one_per` keeps the newest row per value."""

    dmo: str
    object: str
    where: str | None = None
    one_per: str | None = None
    newest: str | None = None
    lookups: dict[str, Lookup] = Field(default_factory=dict)
    fields: dict[str, FieldExpression]


class ConsentFile(Declared):
    """One consent CSV (by file name pattern) = one channel × one subscription × one status."""

    file: str
    channel: Literal["email", "sms", "letter"]
    subscription: str = "dunning"
    status: Literal["opt_in", "opt_out"]
    delimiter: str = ","
    encoding: str = "auto"
    date_format: str | None = None


class StreamSource(Declared):
    """One file below policies/streams/."""

    source: str = Field(pattern="^[a-z][a-z0-9_]*$")
    kind: Literal["file", "salesforce_bulk", "sql", "consent"] = "file"
    description: str | None = None
    connection: str | None = None  # sql: an ADBC or SQLAlchemy URL, or env:NAME
    format: Format = Format()
    defaults: dict[str, Any] = Field(default_factory=dict)
    objects: dict[str, StreamObject] = Field(default_factory=dict)
    mappings: tuple[Mapping, ...] = ()
    files: tuple[ConsentFile, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _spread_defaults(cls, tree: Any) -> Any:
        if not isinstance(tree, dict) or not isinstance(tree.get("objects"), dict):
            return tree
        base = tree.get("defaults") or {}
        objects = {}
        for name, given in tree["objects"].items():
            mine = dict(given or {})
            columns = {**base.get("columns", {}), **mine.get("columns", {})}
            objects[name] = {**base, **mine, "columns": columns}
        return {**tree, "objects": objects}

    @model_validator(mode="after")
    def _columns_are_declared(self) -> "StreamSource":
        for name, declared in self.objects.items():
            Format.model_validate({**self.format.model_dump(), **declared.format})
            for role in (*declared.key, *declared.required):
                if role not in declared.columns:
                    raise ValueError(f"objects.{name}: key or required column {role!r} is not among its columns")
            if not declared.key:
                raise ValueError(f"objects.{name}: `key` is missing")
        return self

    def format_of(self, name: str) -> Format:
        return Format.model_validate({**self.format.model_dump(), **self.objects[name].format})

    @cached_property
    def inbox_name(self) -> str:
        return self.source


def table_name(source: str, name: str) -> str:
    """The landing table of an object, without schema: salesforce__invoice."""
    return f"{source}__{name}".lower()


# declarations that were read and found right, by their texts: a process asks for them at every ingest and build
_checked: dict[tuple[tuple[str, str], ...], dict[str, StreamSource]] = {}


def load_streams(ws: Workspace) -> dict[str, StreamSource]:
    """All sources by name, checked against the data model; raises InvalidDeclaration with file, line and column."""
    files = sorted((ws.policies / "streams").glob("*.yaml"))
    schema = ws.models / "data_model" / "schema.yml"
    key = tuple((file.name, file.read_text(encoding="utf-8", errors="replace")) for file in (schema, *files))
    if key not in _checked:
        if len(_checked) > 8:
            _checked.clear()
        _checked[key] = _load(files, schema)
    return _checked[key]


def _load(files: list[Path], schema: Path) -> dict[str, StreamSource]:
    from dunning_pipeline.data_streams.mapping.mapping_checks import check_mappings

    streams: dict[str, StreamSource] = {}
    trees: dict[str, tuple[Path, Any]] = {}
    for file in files:
        tree = read_yaml(file)
        stream = validated(StreamSource, tree, file)
        if stream.source in streams:
            line, column = position(tree, ("source",))
            raise InvalidDeclaration(f"source {stream.source!r} is declared twice", file=file, line=line, column=column)
        streams[stream.source] = stream
        trees[stream.source] = (file, tree)
    for name, stream in streams.items():
        check_mappings(stream, *trees[name], sources=set(streams), schema_file=schema)
    return streams
