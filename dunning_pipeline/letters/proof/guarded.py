"""Letters compiled in a process of its own with time and memory limits: a layout under test may run for ever."""

import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any

from dunning_pipeline.errors import DunningError
from dunning_pipeline.letters.compiling import TemplateVersion

SECONDS = 30.0  # per letter
MEMORY_BYTES = 6_000_000_000
Letter = tuple[TemplateVersion, Mapping[str, Any]]


def letter_problems(letters: Sequence[Letter], *, seconds: float = SECONDS) -> list[str | None]:
    """For each letter None where it comes out, else what went wrong. A letter that hangs ends only itself."""
    answers: list[str | None] = []
    while len(answers) < len(letters):
        answers += _in_one_process(letters[len(answers) :], seconds)
    return answers


def _in_one_process(letters: Sequence[Letter], seconds: float) -> list[str | None]:
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_compile, args=(sending, list(letters)), daemon=True)
    process.start()
    sending.close()
    answers: list[str | None] = []
    try:
        while len(answers) < len(letters):
            if not receiving.poll(seconds + (20.0 if not answers else 0.0)):  # the first waits for the start, too
                return [*answers, f"the layout did not finish in {seconds:g} seconds; is there a loop without end?"]
            answers.append(receiving.recv())
        process.join(SECONDS)  # it tidies up after itself
        return answers
    except EOFError:
        return [*answers, "the layout needs too much memory"]
    finally:
        process.kill()
        process.join()


def _compile(sending: Any, letters: Sequence[Letter]) -> None:
    import resource

    from dunning_pipeline.letters.pdf import render_pdf

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for version, document in letters:
        try:
            render_pdf(document, version=version, draft=True)  # what only drafts print is made, too
            sending.send(None)
        except DunningError as error:
            sending.send(str(error))
        except MemoryError:
            raise
        except Exception as error:  # what the layout's data cannot express is an answer, too
            sending.send(f"{type(error).__name__}: {error}")
