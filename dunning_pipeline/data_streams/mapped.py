"""Writes the `mapped` views: one per DMO, the union of every source's landing tables through its declared mapping."""

import duckdb

from dunning_pipeline.data_streams.declaration import Mapping, StreamSource, load_streams, table_name
from dunning_pipeline.data_streams.landing_tables import ensure_landing_table, whole_landing_table
from dunning_pipeline.data_streams.mapping.countries import create_country_macro
from dunning_pipeline.data_streams.mapping.data_model import DataModelObject, load_data_model
from dunning_pipeline.data_streams.mapping.mapping_checks import columns_of, field_sql
from dunning_pipeline.settings.workspace import Workspace

# kind, new_key, old_key: what a source calls something now, and what it is known by; see `renaming.following`
RENAMED = "mapped.renamed_keys"
_KINDS = {"accounts": "account", "bill_groups": "bill_group", "invoices": "invoice"}


def refresh_mapped_views(con: duckdb.DuckDBPyConnection, ws: Workspace) -> None:
    """(Re)create `mapped.<dmo>` for every DMO with exactly its columns and types; empty where no source has it.

    Raises InvalidDeclaration for a stream file that is wrong.
    """
    streams = load_streams(ws)
    model = load_data_model(ws.models / "data_model" / "schema.yml")
    con.execute("create schema if not exists landing; create schema if not exists mapped;")
    create_country_macro(con)
    loaded = {
        row[0] for row in con.execute("select table_name from duckdb_tables() where schema_name = 'landing'").fetchall()
    }
    renamed = _renamed_kinds(con)
    active = []
    for stream in streams.values():
        if any(table_name(stream.source, name) in loaded for name in stream.objects):
            columns = {name: ensure_landing_table(con, stream, name) for name in stream.objects}
            active.append((stream, {name: whole_landing_table(stream, name, columns[name]) for name in columns}))
    for dmo in model.values():
        parts = [
            mapping_sql(stream, mapping, dmo, zone=ws.company.time_zone, sources=set(streams), tables=tables)
            for stream, tables in active
            for mapping in stream.mappings
            if mapping.dmo == dmo.name
        ]
        body = "\nunion all\n".join(parts or [_empty(dmo)])
        con.execute(f"create or replace view mapped.{dmo.name} as\n{_under_known_keys(body, dmo, renamed)}")


def _renamed_kinds(con: duckdb.DuckDBPyConnection) -> set[str]:
    there = "select 1 from duckdb_tables() where schema_name = 'mapped' and table_name = 'renamed_keys'"
    if not con.execute(there).fetchall():
        return set()
    return {kind for (kind,) in con.execute(f"select distinct kind from {RENAMED}").fetchall()}


def _under_known_keys(body: str, dmo: DataModelObject, renamed: set[str]) -> str:
    """The rows with the keys by which they are known, in each field that names something of a renamed kind."""
    named = {}
    for field in dmo.fields:
        about = (dmo.name, field.name) if field.name == dmo.key else field.refers_to
        if about is not None and _KINDS.get(about[0]) in renamed:
            named[field.name] = _KINDS[about[0]]
    if not named:
        return body
    known = ", ".join(f'coalesce("known_{name}".old_key, delivered.{name}) as {name}' for name in named)
    joins = "".join(
        f'\nleft join {RENAMED} as "known_{name}" on "known_{name}".kind = \'{kind}\' '
        f'and "known_{name}".new_key = delivered.{name}'
        for name, kind in named.items()
    )
    return f"select delivered.* replace ({known})\nfrom (\n{body}\n) as delivered{joins}"


def mapping_sql(
    stream: StreamSource,
    mapping: Mapping,
    dmo: DataModelObject,
    *,
    zone: str,
    sources: set[str],
    tables: dict[str, str],
) -> str:
    """The SELECT of one mapping with all columns of the DMO, cast to their types; deleted rows are left out.

    `tables` gives the SQL of each object's rows.
    """

    def sql(text: object) -> str:
        return field_sql(stream, mapping, text, zone=zone, sources=sources)  # type: ignore[arg-type]

    columns = []
    for field in dmo.fields:
        if field.name == "source" and "source" not in mapping.fields:
            value = f"'{stream.source}'"
        else:
            value = sql(mapping.fields[field.name]) if field.name in mapping.fields else "null"
        columns.append(f"cast({value} as {field.data_type}) as {field.name}")
    joins = "".join(_join(stream, mapping, alias, sql, tables) for alias in mapping.lookups)
    where = f" and coalesce({sql(mapping.where)}, false)" if mapping.where else ""
    text = f"select {', '.join(columns)}\nfrom {tables[mapping.object]} as o{joins}\n"
    text += f"where not o._is_deleted{where}"
    if mapping.one_per:
        newest = f"{sql(mapping.newest)} desc nulls last, " if mapping.newest else ""
        text += f"\nqualify row_number() over (partition by {sql(mapping.one_per)} order by {newest}o._row desc) = 1"
    return text


def _join(stream: StreamSource, mapping: Mapping, alias: str, sql: object, tables: dict[str, str]) -> str:
    lookup = mapping.lookups[alias]
    key = lookup.key or stream.objects[lookup.object].key[0]
    column = columns_of(stream, lookup.object)[key.lower()]
    table = tables[lookup.object]
    return (
        f'\nleft join {table} as "{alias}" on "{alias}"."{column}" = {sql(lookup.by)} '  # type: ignore[operator]
        f'and not "{alias}"._is_deleted'
    )


def _empty(dmo: DataModelObject) -> str:
    columns = ", ".join(f"cast(null as {field.data_type}) as {field.name}" for field in dmo.fields)
    return f"select {columns} where false"
