"""docs/configuration.md names every environment variable that the code reads, and no other."""

import re
from pathlib import Path

from dunning_pipeline.data_streams.remote import salesforce_bulk

ROOT = Path(__file__).resolve().parents[2]
_READ = re.compile(r"""environ(?:\.get\(|\[)\s*["']([A-Z][A-Z0-9_]+)["']""")
INTERNAL = {"DUNNING_PARENT"}


def test_every_variable_is_on_the_page() -> None:
    read = {f"SALESFORCE_{name.upper()}" for name in (*salesforce_bulk._LOGIN, *salesforce_bulk._SESSION)}
    for folder in ("dunning_pipeline", "assets"):
        for file in (ROOT / folder).rglob("*.py"):
            read |= set(_READ.findall(file.read_text(encoding="utf-8")))
    assert len(read) > 25
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", page, re.MULTILINE))
    assert told == read - INTERNAL
