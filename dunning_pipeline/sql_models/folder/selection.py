"""Which models a person means: a name, a folder, `name+` with what depends on it, `+name` with what it needs."""

from collections.abc import Callable, Iterable

from dunning_pipeline.errors import NotThere
from dunning_pipeline.sql_models.folder.project import Project
from dunning_pipeline.sql_models.folder.templating import did_you_mean


def select_models(project: Project, select: str | None) -> set[str]:
    """Names of the chosen models; all where nothing is said. Terms are separated by spaces or commas.

    Raises NotThere for a term that is neither a model nor a folder.
    """
    if not select:
        return set(project.models)
    chosen: set[str] = set()
    for term in select.replace(",", " ").split():
        chosen |= _term(project, term)
    return chosen


def _term(project: Project, term: str) -> set[str]:
    name = term.strip("+").rsplit("/", maxsplit=1)[-1].removesuffix(".sql")
    name = name.split(".", maxsplit=1)[1] if "." in name else name
    folders = {model.schema for model in project.models.values()}
    if name in project.models:
        found = {name}
    elif name in folders:
        found = {model.name for model in project.models.values() if model.schema == name}
    else:
        raise NotThere(
            f"{term!r} is neither a model nor a folder",
            remedy=did_you_mean(name, [*project.models, *folders], "see the files in dbt_like_sql/"),
        )
    chosen = set(found)
    if term.startswith("+"):
        chosen |= _closure(found, lambda one: (r for r in project.models[one].refs if r in project.models))
    if term.endswith("+"):
        chosen |= _closure(found, project.children)
    return chosen


def _closure(start: set[str], next_to: Callable[[str], Iterable[str]]) -> set[str]:
    reached, waiting = set(start), list(start)
    while waiting:
        for name in next_to(waiting.pop()):
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    return reached
