"""Checks the mappings of a source against its declared columns and the data model, with file, line and column."""

from pathlib import Path
from typing import Any

from dunning_pipeline.data_streams.declaration import Constant, FieldExpression, Mapping, StreamSource, ValueMap
from dunning_pipeline.data_streams.mapping.data_model import DataModelObject, load_data_model
from dunning_pipeline.data_streams.mapping.expressions import BadExpression, compile_expression
from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.yaml_files import position

ROW_COLUMNS = ("_file", "_loaded_at")


def columns_of(stream: StreamSource, name: str) -> dict[str, str]:
    """Columns that expressions over an object may name: lower case → as in the landing table."""
    return {column.lower(): column for column in (*stream.objects[name].columns, *ROW_COLUMNS)}


def lookup_columns(stream: StreamSource, mapping: Mapping) -> dict[str, dict[str, str]]:
    return {alias: columns_of(stream, lookup.object) for alias, lookup in mapping.lookups.items()}


def field_sql(
    stream: StreamSource, mapping: Mapping, declared: FieldExpression, *, zone: str, sources: set[str]
) -> str:
    """SQL of one field, not yet cast; raises BadExpression."""

    def compiled(text: str) -> str:
        return compile_expression(
            text,
            source=stream.source,
            columns=columns_of(stream, mapping.object),
            lookups=lookup_columns(stream, mapping),
            zone=zone,
            sources=sources,
        )

    if isinstance(declared, Constant):
        return _literal(declared.value)
    if isinstance(declared, ValueMap):
        value = f"lower(trim(cast({compiled(declared.source_expression)} as varchar)))"
        cases = "".join(
            f" when {_literal(key.lower())} then {_literal(result)}" for key, result in declared.values.items()
        )
        empty = f" when '' then {_literal(declared.empty)}"
        return f"case coalesce({value}, ''){empty}{cases} else {_literal(declared.otherwise)} end"
    return compiled(declared)


def _literal(value: str | int | bool | None) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool | int) else "'" + value.replace("'", "''") + "'"


def check_mappings(stream: StreamSource, file: Path, tree: Any, *, sources: set[str], schema_file: Path) -> None:
    """Raise InvalidDeclaration for the first mapping that names what does not exist or fills a relationship wrongly."""
    if not stream.mappings:
        return
    model = load_data_model(schema_file)
    for number, mapping in enumerate(stream.mappings):

        def wrong(text: str, *path: str | int, number: int = number) -> InvalidDeclaration:
            line, column = position(tree, ("mappings", number, *path))
            return InvalidDeclaration(text, file=file, line=line, column=column)

        if mapping.dmo not in model:
            raise wrong(f"there is no data model object {mapping.dmo!r}", "dmo")
        for place, name in [
            ("object", mapping.object),
            *((f"lookups.{a}", k.object) for a, k in mapping.lookups.items()),
        ]:
            if name not in stream.objects:
                raise wrong(f"{place}: {name!r} is no object of source {stream.source!r}", place.split(".")[0])
        _check_fields(stream, mapping, model, wrong, sources)


def _check_fields(
    stream: StreamSource, mapping: Mapping, model: dict[str, DataModelObject], wrong: Any, sources: set[str]
) -> None:
    dmo = model[mapping.dmo]
    extra = [(name, text) for name, text in (("where", mapping.where), ("one_per", mapping.one_per)) if text]
    extra += [("newest", mapping.newest)] if mapping.newest else []
    try:
        for name, text in extra:
            place: tuple[str, ...] = (name,)
            field_sql(stream, mapping, text, zone="UTC", sources=sources)
        for alias, lookup in mapping.lookups.items():
            place = ("lookups", alias)
            field_sql(stream, mapping, lookup.by, zone="UTC", sources=sources)
        for name, declared in mapping.fields.items():
            place = ("fields", name)
            if dmo.field(name) is None:
                raise wrong(f"{mapping.dmo} has no field {name!r}", *place)
            field_sql(stream, mapping, declared, zone="UTC", sources=sources)
            _check_relationship(dmo, name, declared, model)
    except BadExpression as reason:
        raise wrong(f"{'.'.join(place)}: {reason}", *place) from None
    missing = [
        field.name
        for field in dmo.fields
        if field.name not in mapping.fields and (field.is_required or field.name == dmo.key)
    ]
    if missing:
        raise wrong(f"{mapping.dmo} needs {', '.join(missing)}", "fields")


def _check_relationship(
    dmo: DataModelObject, name: str, declared: FieldExpression, model: dict[str, DataModelObject]
) -> None:
    field = dmo.field(name)
    if field is None or field.refers_to is None or isinstance(declared, Constant):
        return
    other, other_field = field.refers_to
    target = model.get(other)
    if target is None or target.field(other_field) is None:
        raise BadExpression(f"schema.yml relates it to {other}.{other_field}, which does not exist")
    if not isinstance(declared, str) or "key" not in declared.lower():
        raise BadExpression(f"it points to {other}.{other_field}: write key(<column>), so that keys carry their source")
