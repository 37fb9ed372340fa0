"""The letter as PDF/A-3b: layout letter.typ by typst, tagged, byte-identical for the same document and version."""

import atexit
import re
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import orjson
import typst

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.letters.compiling import TemplateVersion
from dunning_pipeline.letters.creditor import in_language
from dunning_pipeline.letters.paper.fonts import FOLDER
from dunning_pipeline.letters.paper.letter_data import letter_data
from dunning_pipeline.letters.rendering import letter_wording
from dunning_pipeline.settings.scratch import scratch_folder

STANDARD = "a-3b"
_local = threading.local()


def render_pdf(document: Mapping[str, Any], *, version: TemplateVersion, draft: bool = False) -> bytes:
    """The letter's bytes. `draft` prints the watermark; it is no part of the frozen content.

    Thread-safe: each thread keeps its own compiler, and typst lets go of the interpreter while it works.
    Raises InvalidDeclaration where wording or layout fail.
    """
    layout = version.compiled["layout"]
    data = letter_data(
        {**in_language(document, version.language), "language": version.language},  # what the letter is written in
        wording=letter_wording(version, document),
        labels=version.compiled["labels"],
        logo=version.compiled.get("logo"),
        draft=draft,
    )
    year, month, day = data["day"]
    instant = datetime(year, month, day, tzinfo=UTC)
    try:
        return bytes(
            _compiler(layout).compile(
                format="pdf",
                sys_inputs={"data": orjson.dumps(data).decode()},
                pdf_standards=[STANDARD],
                timestamp=instant,
            )
        )
    except typst.TypstError as error:
        told = str(getattr(error, "diagnostic", "") or "")
        place = re.search(r"letter\.typ:(\d+):(\d+)", told)
        raise InvalidDeclaration(
            f"the layout of {version.template} ({version.language}) does not compile: {error.message}",
            file="templates/letter/letter.typ",
            line=int(place[1]) if place else None,
            column=int(place[2]) + 1 if place else None,  # typst counts columns from 0
            remedy="\n".join(re.findall(r"= hint: (.*)", told))
            or "correct it there; the shipped one is in `dunning init`",
        ) from None


@lru_cache(maxsize=1)
def _fonts() -> Any:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(FOLDER)])


@lru_cache(maxsize=16)
def _root(layout: str) -> Path:
    """A folder that holds this layout and nothing else: it can read no other file and import no package."""
    kept = ExitStack()
    folder = kept.enter_context(scratch_folder(Path(gettempdir()), "dunning-layout-"))
    atexit.register(kept.close)
    (folder / "letter.typ").write_text(layout, encoding="utf-8")
    return folder


def _compiler(layout: str) -> Any:
    kept: dict[str, Any] = _local.__dict__.setdefault("compilers", {})
    if layout not in kept:
        if len(kept) > 8:
            kept.clear()
        root = _root(layout)
        kept[layout] = typst.Compiler(
            input=root / "letter.typ",
            root=root,
            font_paths=_fonts(),
            package_path=root,
            package_cache_path=root,
        )
    return kept[layout]
