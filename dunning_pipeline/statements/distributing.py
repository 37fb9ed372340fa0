"""Hands out PDFs: a ZIP of selected ones, or copies in a folder or object store, each at most once per content."""

import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dunning_pipeline.errors import InvalidInput, NotThere
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.reading import list_statements
from dunning_pipeline.ledger.schema import distributions
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.printing import pdf_of

PATTERN = "{number}.pdf"
FIELDS = ("number", "id", "account_id", "account_name", "date", "level", "process", "currency", "kind")
_UNSAFE = re.compile(r"[^\w.\-+@ ()]", re.UNICODE)


def write_zip(ws: Workspace, ids: Sequence[str], target: Path, *, pattern: str = PATTERN) -> list[str]:
    """Write the PDFs of statements (ids or numbers) into one ZIP; the names in it. Drafts are marked as such.

    The same statements give the same bytes. Raises NotThere, InvalidInput for a pattern with an unknown field.
    """
    _check_pattern(pattern)
    partial = target.with_name(f"{target.name}.partial")
    names: list[str] = []
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:  # PDFs are compressed already
        for row, content in _pdfs(ws, ids):
            name = _unique(file_name(row, pattern), names)
            archive.writestr(zipfile.ZipInfo(name, date_time=(*row["dunning_date"].timetuple()[:3], 0, 0, 0)), content)
            names.append(name)
    partial.replace(target)
    return names


def distribute(
    ws: Workspace,
    ids: Sequence[str],
    *,
    target: str,
    pattern: str = PATTERN,
    drafts_only: bool = False,
    now: datetime,
    actor: str,
) -> dict[str, list[str]]:
    """Copy PDFs to a folder or store (any fsspec URL, such as s3://bucket/letters); {"written", "unchanged"} paths.

    A statement whose same PDF lies at the target already is not written again. Raises NotThere, InvalidInput.
    """
    import fsspec

    _check_pattern(pattern)
    try:
        store, root = fsspec.core.url_to_fs(target)
    except (ImportError, ValueError) as error:
        raise InvalidInput(f"this target cannot be written to: {error}", value=target) from None
    report: dict[str, list[str]] = {"written": [], "unchanged": []}
    taken: list[str] = []
    for row, content in _pdfs(ws, ids):
        if drafts_only and row["status"] != "draft":
            continue
        name = _unique(file_name(row, pattern), taken)
        taken.append(name)
        path = f"{root.rstrip('/')}/{name}"
        if _is_there(ws, row["statement_id"], target, digest := sha256(content).hexdigest()) and store.exists(path):
            report["unchanged"].append(path)
            continue
        store.makedirs(path.rpartition("/")[0], exist_ok=True)
        with store.open(path, "wb") as file:
            file.write(content)
        _record(ws, row["statement_id"], target, digest, path, now=now, actor=actor)
        report["written"].append(path)
    return report


def file_name(row: dict[str, Any], pattern: str = PATTERN) -> str:
    """The file name of a statement's PDF (a draft has no number and uses its id); only the pattern makes folders."""
    values = {
        "number": row["number"] or f"draft-{row['statement_id']}",
        "id": row["statement_id"],
        "account_id": row["account_id"],
        "account_name": row["account_name"],
        "date": row["dunning_date"].isoformat(),
        "level": row["level"] if row["level"] is not None else "",
        "process": row["process"] or "",
        "currency": row["currency"],
        "kind": row["kind"],
    }
    return pattern.format_map({name: _safe(str(value)) for name, value in values.items()})


def _safe(text: str) -> str:
    """A value as part of a file name: no separators, no leading dots, at most 100 characters."""
    return _UNSAFE.sub("_", text).strip().lstrip(".")[:100] or "_"


def _check_pattern(pattern: str) -> None:
    try:
        pattern.format_map(dict.fromkeys(FIELDS, "x"))
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        fields = ", ".join("{" + field + "}" for field in FIELDS)
        raise InvalidInput(f"the file-name pattern is wrong: {error}", value=pattern, remedy=f"use {fields}") from None
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise InvalidInput("a file-name pattern stays inside its target", value=pattern)


def _unique(name: str, taken: Sequence[str]) -> str:
    stem, dot, ending = name.rpartition(".")
    candidate, n = name, 1
    while candidate in taken:
        n += 1
        candidate = f"{stem}-{n}{dot}{ending}" if dot else f"{name}-{n}"
    return candidate


def _pdfs(ws: Workspace, ids: Sequence[str]) -> Iterable[tuple[dict[str, Any], bytes]]:
    with reading(open_ledger(ws)) as connection:
        rows = list_statements(connection, ids=ids)
    found = {row["statement_id"] for row in rows} | {row["number"] for row in rows}
    if missing := [key for key in ids if key not in found]:
        raise NotThere("there is no such statement", value=missing[0])
    for row in sorted(rows, key=lambda row: (row["number"] or "", row["statement_id"])):
        yield pdf_of(ws, row["statement_id"])


def _is_there(ws: Workspace, statement_id: str, target: str, digest: str) -> bool:
    d = distributions.c
    with reading(open_ledger(ws)) as connection:
        query = select(d.path).where(d.statement_id == statement_id, d.target == target, d.pdf_sha256 == digest)
        return connection.execute(query).first() is not None


def _record(
    ws: Workspace, statement_id: str, target: str, digest: str, path: str, *, now: datetime, actor: str
) -> None:
    if _is_there(ws, statement_id, target, digest):
        return  # it was there, somebody removed the file, and it was written again
    with open_ledger(ws).begin() as connection:
        connection.execute(
            distributions.insert().values(
                statement_id=statement_id, target=target, pdf_sha256=digest, path=path, at=now, by=actor
            )
        )
