"""Sample merge documents beside the templates: what previews, checks and golden files are made of."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from dunning_pipeline.errors import InvalidDeclaration, NotThere
from dunning_pipeline.letters.fields import AT_SENDING, IN_DIGESTS, SHAPE


def sample_document(root: Path, template: str, language: str) -> dict[str, Any]:
    """templates/samples/<template>.json (else final_reminder.json) in this language's locale. Raises NotThere, or
    InvalidDeclaration where the sample is no merge document.
    """
    from dunning_pipeline.letters.formats import choose_locale

    for name in (template, "final_reminder"):
        file = root / "samples" / f"{name}.json"
        if file.is_file():
            document = _read(file)
            country = document["address"].get("country")
            return {**document, "language": language, "locale": choose_locale(language, country)}
    raise NotThere(f"there is no sample for {template!r}", remedy="write templates/samples/final_reminder.json")


def _read(file: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise InvalidDeclaration(
            f"not JSON: {error.msg}", file=file, line=error.lineno, column=error.colno, remedy="correct it there"
        ) from None
    lacking = list(_lacking(document, {key: SHAPE[key] for key in SHAPE if key not in {*AT_SENDING, *IN_DIGESTS}}))
    if lacking:
        message = f"this sample is no merge document: it lacks {', '.join(lacking[:8])}"
        raise InvalidDeclaration(message, file=file, line=1, remedy="begin with a copy of samples/final_reminder.json")
    assert isinstance(document, dict)
    return document


def _lacking(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """What of `shape` a value has not; fields within an object that is null are not asked for."""
    if isinstance(shape, dict) and shape:
        if not isinstance(value, dict):
            yield path or "all"
            return
        for key, inner in shape.items():
            name = f"{path}.{key}".lstrip(".")
            if key not in value:
                yield name
            else:
                yield from _lacking(value[key], inner, name)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield path
            return
        for row in value if shape else ():
            yield from _lacking(row, shape[0], f"{path}[]")
