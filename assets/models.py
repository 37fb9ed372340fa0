"""The SQL models as assets: one key per file of dbt_like_sql, all built by one step that can build any part of them."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from assets.forms import BuildConfig
from assets.model_metadata import Shown, outcome_of_tests
from assets.model_specs import (
    ALL_BUILD,
    CAMPAIGNS_READ,
    TESTS,
    check_specs,
    identity_spec,
    model_spec,
    snapshot_spec,
    tests_of,
)
from assets.place import IDENTITY, SNAPSHOT, WRITER, dunning_date, model_key, workspace
from assets.streams import shown_streams
from assets.tables import as_markdown
from dunning_pipeline.campaigns.declaration import usable_campaigns
from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.building import IDENTITY_INPUTS, BuildReport, ModelResult, build
from dunning_pipeline.sql_models.folder.project import Project, load_project
from dunning_pipeline.sql_models.runner import folder_of


def model_assets(ws: Workspace) -> dg.AssetsDefinition:
    """All models, the unified profiles between them, and the published snapshot at their end.

    One step instead of one per file: each step of its own would start a Python process of several seconds. The SQL is
    read when it runs, so an edited file needs no reload; a new file does.
    """
    try:
        project = load_project(folder_of(ws))
        project.ordered()  # a circle is no graph either
    except InvalidDeclaration as mistake:
        return _unreadable(mistake)
    streams = shown_streams(ws)
    specs = [model_spec(model, project, streams) for model in project.models.values()]
    specs += [identity_spec(project), snapshot_spec(project)]

    @dg.multi_asset(name="build_models", specs=specs, check_specs=check_specs(project), can_subset=True, pool=WRITER)
    def build_models(context: dg.AssetExecutionContext, config: BuildConfig) -> Iterator[Any]:
        here = workspace()
        now = business_now()
        day = dunning_date(context, here) if not config.as_of else _as_of(config.as_of)
        select = _selection(context, project, len(specs))
        report = build(
            here,
            run_date=day,
            now=now,
            select=select,
            progress=_progress(context),
            on_model=lambda result: _log_broken(context, result),
        )
        yield from _results(context, here, report, load_project(folder_of(here)))
        if report.withheld:
            raise dg.Failure(report.withheld, metadata={"failed": report.failed})

    return build_models


def _unreadable(mistake: InvalidDeclaration) -> dg.AssetsDefinition:
    """In place of all models where one of their YAML files cannot be read: the schedules stay, and what builds is red.

    Without it nothing would be left of the code location, and nobody be called when the day does not run.
    """
    dg.get_dagster_logger().warning("the models are left out: %s", mistake)

    @dg.asset(
        key=SNAPSHOT,
        group_name=SNAPSHOT.path[0],
        kinds={"yaml"},
        tags={"dunning/broken": "true"},
        description="**The models cannot be read: nothing is built until this is mended and Dagster has reloaded.**\n\n"
        f"```\n{mistake}\n```",
    )
    def build_models() -> None:
        raise dg.Failure(f"the models cannot be read: {mistake}", allow_retries=False)

    return build_models


def _as_of(text: str) -> Any:
    from datetime import date

    return date.fromisoformat(text)


def _selection(context: dg.AssetExecutionContext, project: Project, everything: int) -> str | None:
    """What the build is to be told: None for the whole, else the names of the chosen models."""
    if len(context.selected_asset_keys) == everything:
        return None
    names = {key.path[-1] for key in context.selected_asset_keys if key not in (IDENTITY, SNAPSHOT)}
    if IDENTITY in context.selected_asset_keys:
        names |= set(IDENTITY_INPUTS) & set(project.models)
    return " ".join(sorted(names)) or None


def _progress(context: dg.AssetExecutionContext) -> Callable[[str, int, int], None]:
    """A line in the log per step and per tenth of the models: one per model would cost more than most models do."""
    seen: set[object] = set()

    def say(what: str, done: int, total: int) -> None:
        mark = done * 10 // total if total else what
        if mark not in seen:
            seen.add(mark)
            context.log.info("%s (%s of %s)" if total else "%s", what, *([done, total] if total else []))

    return say


def _log_broken(context: dg.AssetExecutionContext, result: ModelResult) -> None:
    if result.status != "built":
        context.log.error("%s %s: %s", result.key, result.status, result.error)


def _results(context: dg.AssetExecutionContext, ws: Workspace, report: BuildReport, project: Project) -> Iterator[Any]:
    selected = context.selected_asset_keys
    asked = context.selected_asset_check_keys
    done = {check.name: check for check in report.checks}
    profiles = IDENTITY in selected and any(what == "unified profiles" for what, _ in report.steps)
    after_profiles = _reading_profiles(project)
    with Shown(ws, project) as shown:
        for result in report.models:
            if profiles and result.name in after_profiles:  # parents must be yielded before their children
                profiles = False
                yield dg.MaterializeResult(asset_key=IDENTITY, metadata=shown.identity())
            key = model_key(result.schema, result.name)
            if key not in selected:
                continue
            if result.status == "built":
                yield dg.MaterializeResult(asset_key=key, metadata=shown.model(result))
            else:
                yield dg.AssetObservation(key, description=result.error)
            tests = [done[test.name] for test in tests_of(project.models[result.name], project) if test.name in done]
            if dg.AssetCheckKey(key, TESTS) in asked:
                yield outcome_of_tests(result, key, tests, shown)
        if profiles:
            yield dg.MaterializeResult(asset_key=IDENTITY, metadata=shown.identity())
    if dg.AssetCheckKey(SNAPSHOT, ALL_BUILD) in asked:
        yield _all_build(report.models)
    if dg.AssetCheckKey(SNAPSHOT, CAMPAIGNS_READ) in asked:
        yield _campaigns_read(ws)
    if SNAPSHOT in selected and report.snapshot is not None:
        size = report.snapshot.stat().st_size
        steps = {what: round(seconds, 2) for what, seconds in report.steps}
        metadata: dict[str, Any] = {
            "file": dg.MetadataValue.path(report.snapshot),
            "bytes": size,
            "seconds": dg.MetadataValue.json(steps),
        }
        yield dg.MaterializeResult(asset_key=SNAPSHOT, metadata=metadata)


def _reading_profiles(project: Project) -> set[str]:
    """Models that read the unified profiles, directly or through others."""
    found: set[str] = set()
    for model in project.ordered():
        if any(source == "identity" for source, _ in model.sources) or found & set(model.refs):
            found.add(model.name)
    return found


def _all_build(models: list[ModelResult]) -> dg.AssetCheckResult:
    broken = [result for result in models if result.status != "built"]
    rows = [{"model": result.key, "status": result.status, "why": result.error} for result in broken]
    return dg.AssetCheckResult(
        check_name=ALL_BUILD,
        asset_key=SNAPSHOT,
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(broken)} of {len(models)} models were not built",
        metadata={"broken": dg.MetadataValue.md(as_markdown(rows, longest=1_000))} if broken else {},
    )


def _campaigns_read(ws: Workspace) -> dg.AssetCheckResult:
    """Here, because every day builds: a campaign that is left out asks for nothing that could fail."""
    campaigns, mistakes = usable_campaigns(ws)
    rows = [{"where": one.where, "mistake": one.message, "value": one.value, "remedy": one.remedy} for one in mistakes]
    return dg.AssetCheckResult(
        check_name=CAMPAIGNS_READ,
        asset_key=SNAPSHOT,
        passed=not mistakes,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(campaigns)} campaigns are right, {len({one.file for one in mistakes})} files are not",
        metadata={"mistakes": dg.MetadataValue.md(as_markdown(rows, longest=1_000))} if rows else {},
    )
