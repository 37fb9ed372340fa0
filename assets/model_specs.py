"""What the catalogue says of each SQL model before anything has run: text, SQL, owner, parents, columns, checks."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from assets.place import IDENTITY, LEDGER, POLICIES, SNAPSHOT, model_key, stream_key
from dunning_pipeline.data_streams.declaration import StreamSource, table_name
from dunning_pipeline.sql_models.building import IDENTITY_INPUTS
from dunning_pipeline.sql_models.folder.project import Check, Model, Project
from dunning_pipeline.sql_models.snapshot import SERVED

BUILDS = "it_builds"
STAGES = {
    "data_lake": "what the sources sent, in their words",
    "data_model": "our view of it, in our words",
    "unified": "one party over all sources",
    "dunning": "who owes what, since when, and what may be said",
    "segments": "accounts that answer one question",
    "data_graph": "one document per account: all that a template may show",
    "reports": "figures for people",
}


def model_spec(model: Model, project: Project, streams: Mapping[str, StreamSource]) -> dg.AssetSpec:
    """The asset of one file: key `<folder>/<file>`, group = folder."""
    place = model.file.relative_to(project.folder.parent)
    declared = [_column(name, column) for name, column in model.properties.columns.items()]
    metadata: dict[str, Any] = {"dagster/table_name": model.key}
    if declared:
        metadata["dagster/column_schema"] = dg.TableSchema(declared)
    return dg.AssetSpec(
        model_key(model.schema, model.name),
        deps=sorted(set(_parents(model, project, streams)), key=str),
        description=f"{model.description}\n\n`{place}`\n\n```sql\n{model.text.strip()}\n```",
        group_name=model.schema,
        kinds={"duckdb", "sql"},
        owners=[f"team:{model.owner}"] if model.owner else [],
        tags={"stage": model.schema},
        metadata=metadata,
        skippable=True,  # a broken model is left out, the others are there
    )


def identity_spec(project: Project) -> dg.AssetSpec:
    return dg.AssetSpec(
        IDENTITY,
        deps=[model_key(project.models[n].schema, n) for n in IDENTITY_INPUTS if n in project.models],
        description="Which records are one company or one person, by which rule. Rules: `policies/identity/`.",
        group_name="identity",
        kinds={"duckdb", "python"},
        owners=["team:data-platform"],
        skippable=True,
    )


def snapshot_spec(project: Project) -> dg.AssetSpec:
    served = [model_key(m.schema, m.name) for m in project.models.values() if m.schema in SERVED]
    leaves = [
        key for key, model in zip(served, _served(project), strict=True) if not list(project.children(model.name))
    ]
    return dg.AssetSpec(
        SNAPSHOT,
        deps=leaves,
        description="The read-only database that analysts, the console and the dunning run read. It is replaced only "
        "when everything it depends on was built and checked; else the last good one stays.",
        group_name="serving",
        kinds={"duckdb"},
        owners=["team:data-platform"],
        skippable=True,
    )


def _served(project: Project) -> list[Model]:
    return [model for model in project.models.values() if model.schema in SERVED]


def outside_specs() -> list[dg.AssetSpec]:
    """What people and other programs write, and the models read."""
    return [
        dg.AssetSpec(
            LEDGER,
            description="The record of what was done: runs, statements, postings, sends, events, consents. Written by "
            "the console, the command line and the deliveries; read by every build as the schema `ops`.",
            group_name="outside",
            kinds={"sqlite"},
        ),
        dg.AssetSpec(
            POLICIES,
            description="Processes, levels, company and law as the analysts declare them in `policies/`.",
            group_name="outside",
            kinds={"yaml"},
        ),
    ]


def check_specs(project: Project) -> list[dg.AssetCheckSpec]:
    """One check per declared test, and one per model that shows why it could not be built."""
    found = []
    for model in project.models.values():
        key = model_key(model.schema, model.name)
        found.append(
            dg.AssetCheckSpec(
                BUILDS, asset=key, description="Passes when the SQL could be run; else it says where the mistake is."
            )
        )
        found += [_spec(check, key) for check in model.properties.checks]
    for check in project.singular:
        if check.refs and (home := project.models.get(check.refs[0])) is not None:
            found.append(_spec(check, model_key(home.schema, home.name)))
    return found


def _spec(check: Check, key: dg.AssetKey) -> dg.AssetCheckSpec:
    text = f"{check.kind} on {check.column}" if check.column else check.text.splitlines()[0].lstrip("- ")
    return dg.AssetCheckSpec(check.name, asset=key, description=f"Passes when no row fails: {text} ({check.severity})")


def _column(name: str, column: Mapping[str, object]) -> dg.TableColumn:
    constraints = [test for test in column.get("data_tests") or [] if isinstance(test, str)]  # type: ignore[attr-defined]
    return dg.TableColumn(
        name,
        str(column.get("data_type") or "varchar"),
        description=str(column.get("description") or "") or None,
        constraints=dg.TableColumnConstraints(unique="unique" in constraints, nullable="not_null" not in constraints),
    )


def _parents(model: Model, project: Project, streams: Mapping[str, StreamSource]) -> Iterator[dg.AssetKey]:
    for name in model.refs:
        if name in project.models:
            yield model_key(project.models[name].schema, name)
    for source, table in model.sources:
        if source == "mapped":
            yield from _feeding(table, streams)
        elif source == "landing":
            yield from (
                stream_key(s.source, o) for s in streams.values() for o in s.objects if table_name(s.source, o) == table
            )
        elif source in ("ops", "policy", "identity"):
            yield {"ops": LEDGER, "policy": POLICIES, "identity": IDENTITY}[source]


def _feeding(dmo: str, streams: Mapping[str, StreamSource]) -> Iterator[dg.AssetKey]:
    """The source objects whose mapping fills a data model object."""
    for stream in streams.values():
        for mapping in stream.mappings:
            if mapping.dmo == dmo:
                yield stream_key(stream.source, mapping.object)
