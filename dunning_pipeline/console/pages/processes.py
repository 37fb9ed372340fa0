"""Processes and templates, to read: levels in words, what the file says, what a message looks like."""

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import previews
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.dunning.processes import load_processes
from dunning_pipeline.errors import DunningError, NotThere
from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.samples import sample_document


@allowed("viewer")
def list_processes(desk: Desk) -> Response:
    error, processes = None, {}
    try:
        processes = load_processes(desk.workspace)
    except DunningError as mistake:  # a broken file is shown, it does not take the page away
        error = mistake
    templates: dict[str, dict[str, list[str]]] = {}
    for source in Catalogue(desk.workspace).sources():
        templates.setdefault(source.template, {}).setdefault(source.channel, []).append(source.language)
    return desk.page("processes.html", processes=processes, templates=templates, error=error)


@allowed("viewer")
def show_process(desk: Desk) -> Response:
    found = load_processes(desk.workspace).get(desk.request.path_params["name"])
    if found is None:
        raise HTTPException(404, "there is no such process")
    source = found.file.read_text(encoding="utf-8")
    return desk.page(
        "process.html", process=found.process, version=found.process_hash, source=source, file=found.file.name
    )


@allowed("viewer")
def preview_template(desk: Desk) -> Response:
    names = desk.request.path_params
    if names["kind"] not in previews.KINDS:
        raise HTTPException(404, "there is no such preview")
    try:
        document = sample_document(desk.workspace.templates, names["template"], names["language"])
        return previews.preview(
            desk.workspace, names["kind"], names["template"], names["language"], document, draft=True
        )
    except NotThere as missing:
        raise HTTPException(404, str(missing)) from None


routes = [
    Route("/processes", list_processes),
    Route("/processes/{name}", show_process),
    Route("/templates/{template}/{language}/{kind}", preview_template),
]
