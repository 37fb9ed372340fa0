"""Before a template is published, each of its messages is made once from its sample: what cannot be made is refused."""

from collections.abc import Sequence
from typing import Any

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.letters.catalogue import TemplateSource
from dunning_pipeline.letters.compiling import TemplateVersion
from dunning_pipeline.letters.proof.guarded import letter_problems
from dunning_pipeline.letters.rendering import render_email, render_sms
from dunning_pipeline.letters.samples import sample_document


def rehearse(made: Sequence[tuple[TemplateSource, TemplateVersion]]) -> None:
    """Raises InvalidDeclaration for the first template that has no message for its sample, or an empty one."""
    letters: list[tuple[TemplateVersion, dict[str, Any]]] = []
    for source, version in made:
        document = sample_document(source.root, source.template, source.language)
        if source.channel == "letter":
            letters.append((version, document))
        elif source.channel == "sms":
            _refuse_empty(render_sms(version, document), source, "the message")
        else:
            _refuse_empty(render_email(version, document).subject, source, "the subject")
    for problem in letter_problems(letters):
        if problem:
            raise InvalidDeclaration(problem)


def _refuse_empty(text: str, source: TemplateSource, what: str) -> None:
    if not text:
        file = source.subject_file if source.channel == "email" else source.file
        raise InvalidDeclaration(f"{what} is empty", file=file, line=1, remedy="write it")
