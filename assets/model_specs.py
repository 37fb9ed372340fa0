"""What the catalogue says of each SQL model before anything has run: text, SQL, owner, parents, columns, checks."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from assets.place import IDENTITY, LEDGER, POLICIES, SNAPSHOT, model_key, stream_key
from dunning_pipeline.data_streams.declaration import StreamSource, table_name
from dunning_pipeline.sql_models.building import IDENTITY_INPUTS
from dunning_pipeline.sql_models.folder.project import Check, Model, Project
from dunning_pipeline.sql_models.snapshot import SERVED

TESTS = "its_tests"
ALL_BUILD = "every_model_builds"
CAMPAIGNS_READ = "every_campaign_file_is_right"
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
        description=f"{_mistake(model)}{model.description}\n\n`{place}`\n\n```sql\n{model.text.strip()}\n```",
        group_name=model.schema,
        kinds={"duckdb", "sql"},
        owners=[f"team:{model.owner}"] if model.owner else [],
        tags={"stage": model.schema},
        metadata=metadata,
        skippable=True,  # a broken model is left out, the others are there
    )


def _mistake(model: Model) -> str:
    """What was found wrong while reading the file; what only shows against the tables is told by the build."""
    if model.error is None:
        return ""
    return f"**This file has a mistake: it is not built until it is mended.**\n\n```\n{model.error}\n```\n\n"


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
    """One check per model with tests, all its tests in it, and two of the snapshot that name every broken model and
    campaign.

    A check per test would cost more than the tests: each is three events in Dagster's own database.
    """
    found = [
        dg.AssetCheckSpec(TESTS, asset=model_key(model.schema, model.name), description=_told(tests))
        for model in project.models.values()
        if (tests := tests_of(model, project))
    ]
    return [
        *found,
        dg.AssetCheckSpec(ALL_BUILD, asset=SNAPSHOT, description="Passes when every SQL file could be run."),
        dg.AssetCheckSpec(
            CAMPAIGNS_READ,
            asset=SNAPSHOT,
            description="Passes when every file of `policies/campaigns` can be read, and what it names is there.",
        ),
    ]


def tests_of(model: Model, project: Project) -> list[Check]:
    """The model's declared tests, and the tests over several models that name it first."""
    return [*model.properties.checks, *(c for c in project.singular if c.refs and c.refs[0] == model.name)]


def _told(tests: list[Check]) -> str:
    said = [
        f"* {check.kind} on `{check.column}`" if check.column else f"* {check.text.splitlines()[0].lstrip('- ')}"
        for check in tests
    ]
    return "Passes when no row fails:\n\n" + "\n".join(
        f"{line} ({check.severity})" for line, check in zip(said, tests, strict=True)
    )


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
