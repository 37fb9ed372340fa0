"""The build: streams, ledger and policies come in as tables, models are built aside, checked, swapped and published."""

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from importlib import import_module
from typing import Any

import duckdb

from dunning_pipeline.errors import DunningError
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.binding import CHECKING, bind_models
from dunning_pipeline.sql_models.build_report import BuildReport, ModelResult, Progress
from dunning_pipeline.sql_models.checks import CHECKS_SCHEMA, CheckResult, run_checks
from dunning_pipeline.sql_models.folder.project import LEAF_SCHEMAS, Check, Model, Project, load_project
from dunning_pipeline.sql_models.folder.selection import select_models
from dunning_pipeline.sql_models.materialising import create
from dunning_pipeline.sql_models.runner import Renderer, folder_of
from dunning_pipeline.sql_models.segmenting.publications import write_publication
from dunning_pipeline.sql_models.segmenting.segments import SCHEMA as SEGMENTS
from dunning_pipeline.sql_models.segmenting.segments import load_segments
from dunning_pipeline.sql_models.shapes import columns_of, quoted
from dunning_pipeline.sql_models.snapshot import note_loads, publish
from dunning_pipeline.sql_models.time_limit import time_limit
from dunning_pipeline.sql_models.warehouse import open_warehouse

IDENTITY_INPUTS = ("accounts", "contacts", "individuals")
MEMORY_LIMIT = "3GB"
FINEST = 64  # times more slices than the rows ask for, before a model is said not to fit into memory


def build(
    ws: Workspace,
    *,
    run_date: date,
    now: datetime,
    select: str | None = None,
    progress: Progress | None = None,
    on_model: Callable[[ModelResult], None] | None = None,
) -> BuildReport:
    """Build the selected models (all by default) as of `run_date`, check them and publish the snapshot.

    Every model is bound before the first write. A model is built beside its table and takes its place when its checks
    of severity error pass; when it fails, its old table stays and its descendants are skipped. A failed segment or
    report is left out alone; any other failure keeps the previous snapshot in place. Raises InvalidDeclaration for a
    broken YAML file, a circle, two models of one name; NotThere for a selection that fits nothing; Busy.
    """
    project = load_project(folder_of(ws))
    chosen = select_models(project, select)
    report = BuildReport(f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}", run_date)
    with open_warehouse(ws) as con:
        con.execute(f"set memory_limit = '{MEMORY_LIMIT}'; set preserve_insertion_order = false")
        work = _Build(ws, con, project, report, run_date, now, progress, on_model)
        work.bring_in()
        work.build_models([model for model in project.ordered() if model.name in chosen], whole=select is None)
        work.check_all(chosen)
        work.publish()
    return report


@dataclass
class _Build:
    ws: Workspace
    con: duckdb.DuckDBPyConnection
    project: Project
    report: BuildReport
    run_date: date
    now: datetime
    progress: Progress | None
    on_model: Callable[[ModelResult], None] | None

    def __post_init__(self) -> None:
        self.variables: dict[str, Any] = {}
        self.renderer = Renderer(self.project, run_date=self.run_date)
        self.results: dict[str, ModelResult] = {}
        self.is_whole = False

    def say(self, what: str, done: int = 0, total: int = 0) -> None:
        if self.progress is not None:
            self.progress(what, done, total)

    def step(self, what: str, module: str, function: str, *arguments: object, **options: object) -> Any:
        """Run one Python step of another room by name; this room must not import the rooms that use it."""
        self.say(what)
        started = time.perf_counter()
        answer = getattr(import_module(f"dunning_pipeline.{module}"), function)(*arguments, **options)
        self.report.steps.append((what, time.perf_counter() - started))
        return answer

    def bring_in(self) -> None:
        for schema in ("landing", "mapped", "ops", "policy", "identity", CHECKS_SCHEMA):
            self.con.execute(f"create schema if not exists {schema}")
        self.step("data streams", "data_streams", "refresh_mapped_views", self.con, self.ws)
        self.step("ledger", "ledger.export", "export_to_warehouse", self.con, self.ws)
        self.step("policies", "dunning.policy_tables", "load_policy_tables", self.con, self.ws)
        dates = {"run_date": self.run_date, "now": self.now}
        self.step("renamed ids", "data_streams.renaming", "follow_renamed", self.con, self.ws, **dates)
        # the levels' conditions are SQL of the analysts: they reach the models as variables
        self.variables = self.step("conditions", "dunning.policy_tables", "model_variables", self.con) or {}
        self.renderer = self.rendering()

    def rendering(self, **more: Any) -> Renderer:
        return Renderer(self.project, run_date=self.run_date, variables={**self.variables, **more})

    def build_models(self, models: list[Model], *, whole: bool) -> None:
        before, after = _around_identity(self.project, models)
        self.is_whole = whole
        # the very first build cannot check what reads the profiles until these are there; every later one can
        known = all(columns_of(self.con, *source) for model in after for source in model.sources)
        mistakes = self.check_models(models if known else before)
        total = len(models)
        for done, model in enumerate(before):
            self.one(model, mistakes.get(model.name), done, total)
        if whole or set(IDENTITY_INPUTS) & {model.name for model in models}:
            self.resolve_identity(after)
        if not known:
            mistakes = self.check_models([model for model in after if model.name not in self.results])
        for done, model in enumerate(after, start=len(before)):
            self.one(model, mistakes.get(model.name), done, total)

    def check_models(self, models: list[Model]) -> dict[str, DunningError]:
        self.say("checking the models before the first write")
        started = time.perf_counter()
        schemas = {model.schema for model in self.project.models.values()} | {key[0] for key in self.project.sources}
        catalogs = dict.fromkeys(schemas, CHECKING)
        checking = Renderer(self.project, run_date=self.run_date, variables=self.variables, catalogs=catalogs)
        bound = bind_models(self.con, self.project, checking, models)
        self.report.steps.append(("check before the first write", time.perf_counter() - started))
        return bound.errors

    def resolve_identity(self, after: Iterable[Model]) -> None:
        if any(self.results[name].status != "built" for name in IDENTITY_INPUTS if name in self.results):
            for model in after:
                self.record(
                    ModelResult(model.name, model.schema, "skipped", error="its profiles could not be resolved")
                )
            return
        options = {"run_id": self.report.run_id, "now": self.now, "ledger": open_ledger(self.ws)}
        self.step("unified profiles", "identity", "resolve", self.con, self.ws, **options)

    def one(self, model: Model, mistake: DunningError | None, done: int, total: int) -> None:
        if model.name in self.results:
            return
        self.say(model.key, done, total)
        blocker = next((ref for ref in model.refs if ref in self.results and self.results[ref].status != "built"), None)
        if mistake is not None:
            self.record(ModelResult(model.name, model.schema, "failed", error=str(mistake)))
        elif blocker is not None:
            self.record(ModelResult(model.name, model.schema, "skipped", error=f"it needs {blocker}, which failed"))
        else:
            self.record(self.materialise(model))

    def record(self, result: ModelResult) -> None:
        self.results[result.name] = result
        self.report.models.append(result)
        self.report.checks.extend(result.tests)
        if self.on_model is not None:
            self.on_model(result)

    def materialise(self, model: Model, *, finer: int = 1) -> ModelResult:
        """Build one table, check it and put it in place, in one transaction: nobody sees it before its checks pass.

        A model in slices that does not fit into memory is begun again with four times as many.
        """
        started = time.perf_counter()
        name = f"{quoted(model.schema)}.{quoted(model.name)}"
        checks = [c for c in model.properties.checks if c.severity == "error" and c.kind != "relationships"]
        self.con.execute(f"create schema if not exists {quoted(model.schema)}; set errors_as_json = true; begin")
        try:
            with time_limit(self.con, model, self.project.variables):
                self._drop(model.schema, model.name)
                create(self.con, name, model, self.project, self.rendering, finer=finer)
                tests = tuple(run_checks(self.con, checks, self.renderer, table=name))
                # counting a view would run it once more
                rows = None if model.is_view else self.con.execute(f"select count(*) from {name}").fetchall()[0][0]
            good = not any(test.is_blocking_failure for test in tests)
            self.con.execute("commit" if good else "rollback")
        except (duckdb.Error, DunningError) as error:
            self.con.execute("rollback")
            if isinstance(error, duckdb.OutOfMemoryException) and model.meta.get("slices_of") and finer < FINEST:
                return self.materialise(model, finer=finer * 4)
            return ModelResult(model.name, model.schema, "failed", error=str(error))
        finally:
            self.con.execute("set errors_as_json = false")
        seconds = time.perf_counter() - started
        if not good:
            return self._refused(model, checks, seconds, finer)
        columns = columns_of(self.con, model.schema, model.name)
        return ModelResult(model.name, model.schema, "built", rows, seconds, columns, tests)

    def _refused(self, model: Model, checks: list[Check], seconds: float, finer: int) -> ModelResult:
        """The result of a table whose checks failed; what failed is kept, the table itself is not."""
        aside = f"{CHECKS_SCHEMA}.{quoted(model.name + '__refused')}"
        self.con.execute(f"drop table if exists {aside}")
        create(self.con, aside, model, self.project, self.rendering, finer=finer)
        tests = tuple(run_checks(self.con, checks, self.renderer, table=aside))
        self.con.execute(f"drop table {aside}")
        broken = [test for test in tests if test.is_blocking_failure]
        text = "; ".join(test.error or f"{test.name}: {test.failures} rows, in {test.kept_in}" for test in broken)
        return ModelResult(model.name, model.schema, "failed", seconds=seconds, tests=tests, error=text)

    def _drop(self, schema: str, name: str) -> None:
        kind = self._standing.get((schema, name))
        if kind is not None:
            self.con.execute(f"drop {kind} {quoted(schema)}.{quoted(name)}")

    @cached_property
    def _standing(self) -> dict[tuple[str, str], str]:
        """What stood in the warehouse before its first model was built: table or view."""
        rows = self.con.execute(
            "select schema_name, table_name, 'table' from duckdb_tables() where database_name = current_database() "
            "union all "
            "select schema_name, view_name, 'view' from duckdb_views() where database_name = current_database()"
        ).fetchall()
        return {(schema, name): kind for schema, name, kind in rows}

    def check_all(self, chosen: set[str]) -> None:
        """The checks that look across models, and those that only warn: after everything is built."""
        self.say("checks")
        started = time.perf_counter()
        done = {check.name for check in self.report.checks}
        for result in list(self.results.values()):
            if result.status == "built":
                checks = [c for c in self.project.models[result.name].properties.checks if c.name not in done]
                table = f"{quoted(result.schema)}.{quoted(result.name)}"
                self.report.checks.extend(run_checks(self.con, checks, self.renderer, table=table))
        singular = [check for check in self.project.singular if set(check.refs) <= self._there() & chosen]
        self.report.checks.extend(run_checks(self.con, singular, self.renderer))
        self.report.steps.append(("checks", time.perf_counter() - started))

    def _there(self) -> set[str]:
        return {
            name for name in self.project.models if name not in self.results or self.results[name].status == "built"
        }

    def publish(self) -> None:
        missing = [m for m in self.report.models if m.status != "built" and m.schema not in LEAF_SCHEMAS]
        # what was skipped follows from what failed: among thirty names nobody finds the one to correct
        bad = [m.name for m in missing if m.status == "failed"] or [m.name for m in missing]
        bad += [c.name for c in self.report.checks if c.is_blocking_failure and not self._is_leaf(c)]
        if bad:
            self.report.withheld = f"the previous snapshot stays published, because of: {', '.join(dict.fromkeys(bad))}"
            return
        self.say("publishing the snapshot")
        started = time.perf_counter()
        if self.is_whole:
            note_loads(self.con)
        self.report.snapshot = publish(
            self.con, self.ws, run_id=self.report.run_id, run_date=self.run_date, now=self.now
        )
        self.publish_segments()
        self.report.steps.append(("publish", time.perf_counter() - started))

    def publish_segments(self) -> None:
        for segment in load_segments(self.ws, self.project):
            if (result := self.results.get(segment.name)) is not None and result.status == "built":
                sql = f"from {SEGMENTS}.{quoted(segment.name)}"
                write_publication(self.con, self.ws, segment, sql, run_date=self.run_date, now=self.now, parameters={})

    def _is_leaf(self, check: CheckResult) -> bool:
        return check.model is not None and self.project.models[check.model].schema in LEAF_SCHEMAS


def _around_identity(project: Project, models: list[Model]) -> tuple[list[Model], list[Model]]:
    """The models that the profiles need or that do not need them, and those that read the profiles."""
    late: set[str] = set()
    for model in project.ordered():
        if any(source == "identity" for source, _ in model.sources) or late & set(model.refs):
            late.add(model.name)
    return [m for m in models if m.name not in late], [m for m in models if m.name in late]
