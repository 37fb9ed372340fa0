"""Which mail programs do not support what a template uses (data of caniemail.com, MIT, shipped as an extract)."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

# What degrades without harm: rounded corners and the like, or what MJML itself puts in for other programs.
_DEGRADES = """css-border-radius css-at-media css-at-media-prefers-color-scheme css-pseudo-class-first-child css-
vertical-align css-color-scheme css-overflow css-important css-max-width css-max-height css-width
css-height css-opacity css-font css-background css-border-collapse css-display css-display-none css-
margin css-padding css-outline css-direction css-white-space css-white-space-collapse css-word-break
css-overflow-wrap css-text-decoration css-font-size css- pseudo-class-last-child css-selector-child
css-selector-attribute css-comments css-unit-initial css-line-height css-cursor css-table-layout
css-word-spacing html-lang html-body html-doctype html-style html-h1-h6 html-p html- strong html-
table html-meta-color-scheme html-role"""
_HARMLESS = frozenset(_DEGRADES.split())


@lru_cache(maxsize=1)
def features() -> dict[str, Any]:
    """Feature slug → {"title", "not": {client: "n" (no) | "a" (partly)}}."""
    loaded = json.loads((Path(__file__).parent / "caniemail.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = loaded["features"]
    return found


def unsupported(html: str) -> Iterator[tuple[str, list[str]]]:
    """(what is used, programs that do not support it) for each feature that some of the large programs lack."""
    for slug in sorted(_used(html) - _HARMLESS):
        lacking = [client for client, state in features()[slug]["not"].items() if state == "n"]
        if lacking:
            yield features()[slug]["title"], lacking


def _used(html: str) -> set[str]:
    html = re.sub(r"<!--\[if[^\]]*mso.*?<!\[endif\]-->", "", html, flags=re.DOTALL)
    soup = BeautifulSoup(html, "html.parser")
    used = {f"html-{tag.name}" for tag in soup.find_all(True)}
    sheets = " ".join(style.get_text() for style in soup.find_all("style"))
    styles = ";".join(str(tag["style"]) for tag in soup.find_all(style=True))
    declared = re.findall(
        r"(?:^|[;{])\s*(-?[a-z-]+)\s*:", re.sub(r"/\*.*?\*/", "", f"{styles};{sheets}", flags=re.DOTALL)
    )
    used |= {f"css-{name}" for name in declared}
    used |= {f"css-display-{value}" for value in re.findall(r"display\s*:\s*(flex|grid|none)", styles + sheets)}
    used |= {f"css-at-{rule}" for rule in re.findall(r"@([a-z-]+)", sheets)}
    used |= {f"css-position-{value}" for value in re.findall(r"position\s*:\s*(\w+)", styles + sheets)}
    return {slug for slug in used if slug in features()}
