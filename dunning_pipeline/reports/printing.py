"""A report as PDF: title, chart and table on A4 landscape, by typst and the fonts of the letters."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import typst

from dunning_pipeline.letters.paper.fonts import FOLDER

LAYOUT = Path(__file__).with_name("report.typ")


def report_pdf(words: Mapping[str, Any], *, day: date) -> bytes:
    """The PDF's bytes, the same ones for the same words.

    `words`: title, about, company, day and empty as texts, language, columns (title, number: right-aligned), rows of
    texts, chart (SVG or empty).
    """
    instant = datetime(day.year, day.month, day.day, tzinfo=UTC)
    inputs = {"data": orjson.dumps(dict(words)).decode()}
    return bytes(_compiler().compile(format="pdf", sys_inputs=inputs, pdf_standards=["a-3b"], timestamp=instant))


@lru_cache(maxsize=1)
def _compiler() -> Any:
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(FOLDER)])
    root = LAYOUT.parent
    return typst.Compiler(input=LAYOUT, root=root, font_paths=fonts, package_path=root, package_cache_path=root)
