"""The SQL models as assets: one key per file of dbt_like_sql, all built by one step that can build any part of them."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.forms import BuildConfig
from assets.model_metadata import Shown, failing_rows
from assets.model_specs import BUILDS, check_specs, identity_spec, model_spec, snapshot_spec
from assets.place import IDENTITY, SNAPSHOT, WRITER, dunning_date, model_key, workspace
from assets.streams import shown_streams
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.building import IDENTITY_INPUTS, BuildReport, ModelResult, build
from dunning_pipeline.sql_models.checks import CheckResult
from dunning_pipeline.sql_models.folder.project import Project, load_project
from dunning_pipeline.sql_models.runner import folder_of


def model_assets(ws: Workspace) -> dg.AssetsDefinition:
    """All models, the unified profiles between them, and the published snapshot at their end.

    One step instead of one per file: each step of its own would start a Python process of several seconds. The SQL is
    read when it runs, so an edited file needs no reload; a new file does.
    """
    project = load_project(folder_of(ws))
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
            progress=lambda what, done, total: context.log.debug("%s (%s of %s)", what, done, total),
            on_model=lambda result: _log(context, result),
        )
        yield from _results(context, here, report, load_project(folder_of(here)))
        if report.withheld:
            raise dg.Failure(report.withheld, metadata={"failed": report.failed})

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


def _log(context: dg.AssetExecutionContext, result: ModelResult) -> None:
    if result.status == "built":
        context.log.info("%s: %s rows in %.2f s", result.key, result.rows, result.seconds)
    else:
        context.log.error("%s %s: %s", result.key, result.status, result.error)


def _results(context: dg.AssetExecutionContext, ws: Workspace, report: BuildReport, project: Project) -> Iterator[Any]:
    selected = context.selected_asset_keys
    asked = context.selected_asset_check_keys
    checks: dict[str, list[CheckResult]] = {}
    for check in report.checks:
        checks.setdefault(_home(check, project), []).append(check)
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
            for outcome in (_builds(result), *(_check(check, key, shown) for check in checks.get(result.name, ()))):
                if dg.AssetCheckKey(key, outcome.check_name or "") in asked:
                    yield outcome
        if profiles:
            yield dg.MaterializeResult(asset_key=IDENTITY, metadata=shown.identity())
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


def _home(check: CheckResult, project: Project) -> str:
    """The model on whose page a check is shown; a test over several models stands with the first."""
    if check.model is not None:
        return check.model
    return next((c.refs[0] for c in project.singular if c.name == check.name and c.refs), "")


def _builds(result: ModelResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=BUILDS,
        asset_key=model_key(result.schema, result.name),
        passed=result.status == "built",
        severity=dg.AssetCheckSeverity.ERROR,
        description=result.error or "built",
        metadata={"why": dg.MetadataValue.md(f"```\n{result.error}\n```")} if result.error else {},
    )


def _check(check: CheckResult, key: dg.AssetKey, shown: Shown) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=check.name,
        asset_key=key,
        passed=check.status == "passed",
        severity=dg.AssetCheckSeverity.ERROR if check.severity == "error" else dg.AssetCheckSeverity.WARN,
        description=check.error or f"{check.failures} failing rows",
        metadata=failing_rows(check, shown),
    )
