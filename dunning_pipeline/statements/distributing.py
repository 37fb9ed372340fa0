"""Hands out PDFs: a ZIP of selected ones, or copies in a folder or object store, each at most once per content."""

import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from string import Formatter
from typing import Any

from sqlalchemy import select

from dunning_pipeline.errors import DunningError, InvalidInput, NotThere
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.reading import list_statements
from dunning_pipeline.ledger.schema import distributions
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.printing import pdf_of

PATTERN = "{number}.pdf"
FIELDS = ("number", "id", "account_id", "account_name", "date", "level", "process", "currency", "kind")
_BUCKETS = {"s3", "gs", "abfs"}  # have no folders: to make one would make a bucket by a slip of the pen
_UNSAFE = re.compile(r"[^\w.\-+@ ()]", re.UNICODE)


def write_zip(ws: Workspace, ids: Sequence[str], target: Path, *, pattern: str = PATTERN) -> list[str]:
    """Write the PDFs of statements (ids or numbers) into one ZIP; the names in it. Drafts are marked as such.

    The same statements give the same bytes. Raises NotThere, InvalidInput for a pattern with an unknown field.
    """
    _check_pattern(pattern)
    if not target.parent.is_dir():
        raise NotThere("there is no such folder", value=str(target.parent), remedy="make it, or name another file")
    partial = target.with_name(f"{target.name}.partial")
    names: dict[str, None] = {}  # in their order
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:  # PDFs are compressed already
        for row, content in _pdfs(ws, ids):
            name = _unique(file_name(row, pattern), names.__contains__)
            archive.writestr(zipfile.ZipInfo(name, date_time=(*row["dunning_date"].timetuple()[:3], 0, 0, 0)), content)
            names[name] = None
    partial.replace(target)
    return list(names)


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

    A statement whose same PDF lies at the target already is not written again, and never over another statement's.
    Raises NotThere, InvalidInput, and DunningError where the store fails: what is written until then counts.
    """
    _check_pattern(pattern)
    report: dict[str, list[str]] = {"written": [], "unchanged": []}
    place = _Place(ws, target)
    for row, content in _pdfs(ws, ids):
        if drafts_only and row["status"] != "draft":
            continue
        try:
            path, is_new = place.put(row, content, pattern, now=now, actor=actor)
        except DunningError:
            raise
        except Exception as error:  # each store has its own: no credentials, no bucket, no network, disk full
            raise DunningError(
                f"{row['number'] or row['statement_id']} could not be written: {error}",
                value=target,
                remedy="look at the store and its credentials, then do the same again: nothing is written twice",
            ) from error
        report["written" if is_new else "unchanged"].append(path)
    return report


class _Place:
    """A target and what the ledger knows to lie there, statement by statement."""

    def __init__(self, ws: Workspace, target: str) -> None:
        import fsspec

        try:
            self.store, root = fsspec.core.url_to_fs(target)
        except (ImportError, ValueError) as error:
            raise InvalidInput(f"this target cannot be written to: {error}", value=target) from None
        self.ws, self.root = ws, root.rstrip("/")
        spoken = self.store.protocol
        self.protocols = {spoken} if isinstance(spoken, str) else set(spoken)
        # one folder has one name, whatever way it was written in
        self.name = self.root if "file" in self.protocols else self.store.unstrip_protocol(self.root)
        d = distributions.c
        with reading(open_ledger(ws)) as connection:
            query = select(d.statement_id, d.pdf_sha256, d.path).where(d.target == self.name).order_by(d.at)
            self.known = {(id_, digest): path for id_, digest, path in connection.execute(query)}
        self.owners = {path: id_ for (id_, _), path in self.known.items()}

    def put(self, row: dict[str, Any], content: bytes, pattern: str, *, now: datetime, actor: str) -> tuple[str, bool]:
        """(where it lies, whether it was written now)"""
        statement_id, digest = row["statement_id"], sha256(content).hexdigest()
        path = self.known.get((statement_id, digest))
        if path is not None and self.store.exists(path):
            return path, False
        if path is None:
            wanted = f"{self.root}/{file_name(row, pattern)}"
            path = _unique(wanted, lambda place: self.owners.get(place, statement_id) != statement_id)
        if not self.protocols & _BUCKETS:
            self.store.makedirs(path.rpartition("/")[0], exist_ok=True)
        with self.store.open(path, "wb") as file:
            file.write(content)
        if (statement_id, digest) not in self.known:  # else somebody removed the file, and it was written again
            entry = {"statement_id": statement_id, "target": self.name, "pdf_sha256": digest, "path": path}
            with open_ledger(self.ws).begin() as connection:
                connection.execute(distributions.insert().values(**entry, at=now, by=actor))
        self.known[statement_id, digest], self.owners[path] = path, statement_id
        return path, True


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
        named = {name for _, name, _, _ in Formatter().parse(pattern) if name is not None}
        pattern.format_map(dict.fromkeys(FIELDS, "x"))
        if not named <= set(FIELDS):
            raise ValueError(", ".join(sorted(named - set(FIELDS))))
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        fields = ", ".join("{" + field + "}" for field in FIELDS)
        raise InvalidInput(f"the file-name pattern is wrong: {error}", value=pattern, remedy=f"use {fields}") from None
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise InvalidInput("a file-name pattern stays inside its target", value=pattern)
    if not pattern.rpartition("/")[2].strip():
        raise InvalidInput("a file-name pattern ends with a name", value=pattern, remedy=f"such as {PATTERN}")


def _unique(name: str, is_taken: Callable[[str], bool]) -> str:
    stem, dot, ending = name.rpartition(".")
    if "/" in ending:  # a name without an ending, in a folder with a dot
        stem, dot, ending = "", "", name
    candidate, n = name, 1
    while is_taken(candidate):
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
