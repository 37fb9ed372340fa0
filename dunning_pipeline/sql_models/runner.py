"""Renders models in dependency order for whoever runs them: the build, the decision's scratch database, a preview."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from dunning_pipeline.errors import InvalidDeclaration, NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.folder.jail import refuse_what_is_no_query
from dunning_pipeline.sql_models.folder.project import Model, Project, load_project
from dunning_pipeline.sql_models.folder.selection import select_models
from dunning_pipeline.sql_models.folder.templating import TemplateRunner, did_you_mean
from dunning_pipeline.sql_models.shapes import quoted


@dataclass(frozen=True)
class RenderedModel:
    """A model and the one SELECT that makes it."""

    model: Model
    sql: str

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def schema(self) -> str:
        return self.model.schema


class Renderer:
    """Renders the files of one project for one business date.

    `catalogs` says which attached database holds a schema (`{"data_model": "snapshot"}`); schemas that it does not
    name are looked up in the current one. `relations` gives a model or source another full name altogether.
    """

    def __init__(
        self,
        project: Project,
        *,
        run_date: date,
        variables: Mapping[str, Any] | None = None,
        catalogs: Mapping[str, str] | None = None,
        relations: Mapping[str, str] | None = None,
    ) -> None:
        self.project = project
        self._variables = {**project.variables, **(variables or {}), "run_date": run_date.isoformat()}
        self._catalogs = catalogs or {}
        self._relations = relations or {}
        functions: dict[str, Callable[..., Any]] = {
            "ref": self._ref,
            "source": self._source,
            "var": self._var,
            "config": lambda *_, **__: "",
            "target": {"name": "dunning"},  # type: ignore[dict-item]
        }
        self._templates = TemplateRunner(functions, project.macro_files)

    def relation(self, schema: str, name: str) -> str:
        """The full name under which a table is read."""
        if (other := self._relations.get(f"{schema}.{name}")) is not None:
            return other
        catalog = self._catalogs.get(schema)
        return ".".join(quoted(part) for part in ([catalog] if catalog else []) + [schema, name])

    def render(self, model: Model) -> str:
        """The SELECT of a model; raises InvalidDeclaration at the analyst's file, line and column."""
        if model.error is not None:
            raise model.error
        return self.render_text(model.text, model.file)

    def render_text(self, text: str, file: Path) -> str:
        sql = self._templates.render(text, file)
        refuse_what_is_no_query(sql, text, file)
        return sql

    def _ref(self, *names: str) -> str:
        model = self.project.models.get(names[-1])
        if model is None:
            hint = did_you_mean(names[-1], self.project.models, "there is no file of that name")
            raise InvalidDeclaration(f"ref({names[-1]!r}) names no model", remedy=hint)
        return self.relation(model.schema, model.name)

    def _source(self, source: str, table: str) -> str:
        return self.relation(source, table)

    def _var(self, name: str, default: Any = None) -> Any:
        value = self._variables.get(name, default)
        if value is None:
            hint = did_you_mean(name, self._variables, "give it a default: var('name', 1)")
            raise InvalidDeclaration(f"var({name!r}) has no value", remedy=hint)
        return value


def render_models(
    models: Workspace | Path | Project,
    *,
    run_date: date,
    select: str | None = None,
    variables: Mapping[str, Any] | None = None,
    catalogs: Mapping[str, str] | None = None,
    relations: Mapping[str, str] | None = None,
) -> list[RenderedModel]:
    """The selected models (a folder such as "dunning", names, `+name`, `name+`; all without a selection), rendered.

    They come in dependency order. `catalogs` maps a schema to the attached database that holds it, `relations` one
    "schema.table" to another name. Raises InvalidDeclaration for the first model that cannot be rendered, NotThere
    for a selection that fits nothing.
    """
    project = models if isinstance(models, Project) else load_project(folder_of(models))
    renderer = Renderer(project, run_date=run_date, variables=variables, catalogs=catalogs, relations=relations)
    chosen = select_models(project, select)
    return [RenderedModel(model, renderer.render(model)) for model in project.ordered() if model.name in chosen]


def folder_of(models: Workspace | Path) -> Path:
    """The folder of SQL models of a workspace, or the folder itself; raises NotThere where there is none."""
    folder = models.models if isinstance(models, Workspace) else models
    if not (folder / "dbt_project.yml").is_file():
        raise NotThere(
            f"{folder} holds no SQL models (no dbt_project.yml)", remedy="run `dunning init` or name another"
        )
    return folder
