"""PDFs of closed statements on all cores, as closing files them, against bare typst making the same letters there."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import orjson
import typst

from dunning_pipeline.letters import pdf
from dunning_pipeline.letters.paper.letter_data import letter_data
from dunning_pipeline.letters.rendering import letter_wording
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.printing import closed_rows, file_pdfs

ROUND = 250  # letters; ours and bare take turns, so that other load meets both


def measure(ws: Workspace, ids: Sequence[str], *, clock: Callable[[], float], now: datetime) -> tuple[float, float]:
    """(share of bare typst's speed, letters per second of `clock`) over the closed statements with these ids."""
    ours = floor = 0.0
    for start in range(0, len(ids), ROUND):
        some = ids[start : start + ROUND]
        letters = _letters(ws, some)
        began = clock()
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(_bare, letters))
        floor += clock() - began
        began = clock()
        made = file_pdfs(ws, some, now=now)
        ours += clock() - began
        assert len(made) == len(some)
    return floor / ours, len(ids) / ours


def _letters(ws: Workspace, ids: Sequence[str]) -> list[tuple[str, str]]:
    """(layout, data) of each letter, ready for typst."""
    rows, versions = closed_rows(ws, ids)
    made = []
    for row in rows:
        version = versions[row["letter_version"]]
        assert version is not None
        wording = letter_wording(version, row["content"])
        labels = version.compiled["labels"]
        data = letter_data(row["content"], wording=wording, labels=labels, logo=None, draft=False)
        made.append((version.compiled["layout"], orjson.dumps(data).decode()))
    return made


_kept = threading.local()


def _bare(letter: tuple[str, str]) -> int:
    layout, data = letter
    if not hasattr(_kept, "compiler"):
        root = pdf._root(layout)
        _kept.compiler = typst.Compiler(input=root / "letter.typ", root=root, font_paths=pdf._fonts())
    return len(
        _kept.compiler.compile(format="pdf", sys_inputs={"data": data}, pdf_standards=[pdf.STANDARD], timestamp=0)
    )
