"""Processes and templates, to read: levels in words, what the files say, what a message looks like."""

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import previews
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.dunning.processes import DeclaredProcess, load_processes
from dunning_pipeline.errors import DunningError, NotThere
from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.samples import sample_document


def declared_processes(desk: Desk) -> tuple[dict[str, DeclaredProcess], DunningError | None]:
    """The processes by name, or none and the mistake: a broken file is shown, it does not take a page away."""
    try:
        return load_processes(desk.workspace), None
    except DunningError as mistake:
        return {}, mistake


@allowed("viewer")
def list_processes(desk: Desk) -> Response:
    processes, error = declared_processes(desk)
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
def show_template(desk: Desk) -> Response:
    """A template in one language: what its sample looks like in each channel, and its files as they are."""
    name, language = desk.request.path_params["template"], desk.request.path_params["language"]
    known = [source for source in Catalogue(desk.workspace).sources() if source.template == name]
    written = [source for source in known if source.language == language]
    if not written:
        raise HTTPException(404, "there is no such template")
    mistakes, files = [], []
    for source in written:
        files += [file for file in (source.file, source.subject_file, source.text_file) if file.is_file()]
        try:
            compile_template(source)
        except DunningError as mistake:
            mistakes.append(mistake)
    texts = {str(file.relative_to(desk.workspace.templates)): file.read_text(encoding="utf-8") for file in files}
    return desk.page(
        "template.html",
        name=name,
        shown=language,
        languages=sorted({source.language for source in known}),
        channels=[source.channel for source in written],
        texts=texts,
        mistakes=mistakes,
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
    Route("/templates/{template}/{language}", show_template),
    Route("/templates/{template}/{language}/{kind}", preview_template),
]
