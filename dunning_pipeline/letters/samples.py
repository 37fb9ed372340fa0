"""Sample merge documents beside the templates: what previews, checks and golden files are made of."""

from pathlib import Path
from typing import Any

import orjson

from dunning_pipeline.errors import NotThere


def sample_document(root: Path, template: str, language: str) -> dict[str, Any]:
    """templates/samples/<template>.json (else final_reminder.json) in this language's locale. Raises NotThere."""
    from dunning_pipeline.letters.formats import choose_locale

    for name in (template, "final_reminder"):
        file = root / "samples" / f"{name}.json"
        if file.is_file():
            document: dict[str, Any] = orjson.loads(file.read_bytes())
            country = document["address"].get("country")
            return {**document, "language": language, "locale": choose_locale(language, country)}
    raise NotThere(f"there is no sample for {template!r}", remedy="write templates/samples/final_reminder.json")
