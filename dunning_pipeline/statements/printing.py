"""Makes the PDFs of statements: filed at closing, and made again from the frozen content with the same bytes."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from dunning_pipeline.errors import DunningError, NotThere
from dunning_pipeline.ledger.bulk import chunks, update_stored
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.reading import details_of
from dunning_pipeline.ledger.schema import statements
from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.compiling import TemplateVersion, compile_template
from dunning_pipeline.letters.document import statement_document
from dunning_pipeline.letters.rendering import render_sms, render_wording
from dunning_pipeline.letters.versions import pin, pinned
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.graphs import Graphs

Progress = Callable[[str, int, int], None]


def letter_version(connection: Connection, ws: Workspace, *, template: str, language: str, now: datetime) -> str | None:
    """The published letter of a template, published now where it never was; None where there is no such letter."""
    try:
        return pin(connection, ws, template=template, channel="letter", language=language, now=now)
    except NotThere:
        return None


def template_texts(ws: Workspace, *, template: str, language: str, document: Mapping[str, Any]) -> dict[str, str]:
    """What the templates of today say of a statement: subject, opening, closing of the letter, and the SMS."""
    catalogue, plain = Catalogue(ws), {**document, "texts": {}}
    said = dict(render_wording(compile_template(catalogue.find(template, "letter", language)), plain))
    if catalogue.exists(template, "sms", language):
        said["sms"] = render_sms(compile_template(catalogue.find(template, "sms", language)), plain)
    return said


def pdf_of(ws: Workspace, statement_id: str) -> tuple[dict[str, Any], bytes]:
    """(the statement's row, its PDF). A draft is marked as one. Changes nothing. Raises NotThere."""
    from dunning_pipeline.letters.pdf import render_pdf

    with reading(open_ledger(ws)) as connection:
        s = statements.c
        found = connection.execute(
            select(statements).where((s.statement_id == statement_id) | (s.number == statement_id))
        ).one_or_none()
        if found is None:
            raise NotThere("there is no such statement", value=statement_id)
        row = dict(found._mapping)
        if row["content"] is None:
            version = compile_template(Catalogue(ws).find(row["template"], "letter", row["language"]))
            return row, render_pdf(_draft_document(connection, ws, row), version=version, draft=True)
        return row, _bytes(ws, row, _version(connection, ws, row))


def file_pdfs(ws: Workspace, ids: Sequence[str], *, now: datetime, progress: Progress | None = None) -> dict[str, str]:
    """File the PDFs of closed statements below .dunning/statements/; id → sha256 of those that were made.

    One that cannot be made becomes a finding: the statement is closed all the same. Uses all cores.
    """
    made: dict[str, str] = {}
    done = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for chunk in chunks(ids, 500):
            rows, versions = closed_rows(ws, chunk)
            outcomes = list(pool.map(partial(_filed, ws, versions), rows))
            with open_ledger(ws).begin() as connection:
                _remember(connection, rows, [digest for digest, _ in outcomes])
                for row, (digest, problem) in zip(rows, outcomes, strict=True):
                    if digest is None:
                        _report(connection, row, problem, now=now)
                    else:
                        made[row["statement_id"]] = digest
            done += len(chunk)
            if progress is not None:
                progress("making PDFs", done, len(ids))
    return made


def closed_rows(ws: Workspace, ids: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, TemplateVersion | None]]:
    """What the letters of closed statements are made of: their rows, and the versions of letters that they pin."""
    s = statements.c
    with reading(open_ledger(ws)) as connection:
        query = select(s.statement_id, s.number, s.content, s.letter_version, s.pdf_sha256).where(
            s.statement_id.in_(ids), s.content.is_not(None)
        )
        rows = [dict(row._mapping) for row in connection.execute(query)]
        pins = {row["letter_version"] or "" for row in rows}
        return rows, {key: pinned(connection, key) if key else None for key in pins}


def _filed(
    ws: Workspace, versions: Mapping[str, TemplateVersion | None], row: Mapping[str, Any]
) -> tuple[str | None, str]:
    """(sha256, "") of the file that was written, or (None, why not)."""
    version = versions[row["letter_version"] or ""]
    if version is None:
        return None, "its template has no letter"
    file = pdf_file(ws, row["statement_id"])
    partial = file.with_suffix(".partial")
    try:
        content = _bytes(ws, row, version)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(file)
    except (DunningError, OSError) as error:
        return None, str(error)
    return sha256(content).hexdigest(), ""


def pdf_file(ws: Workspace, statement_id: str) -> Path:
    """Where the PDF of a closed statement is filed."""
    return ws.statement_files / f"{statement_id}.pdf"


def _bytes(ws: Workspace, row: Mapping[str, Any], version: TemplateVersion) -> bytes:
    from dunning_pipeline.letters.pdf import render_pdf

    file = pdf_file(ws, row["statement_id"])
    if row["pdf_sha256"] and file.is_file():
        content = file.read_bytes()
        if sha256(content).hexdigest() == row["pdf_sha256"]:
            return content
    return render_pdf(row["content"], version=version)


def _version(connection: Connection, ws: Workspace, row: Mapping[str, Any]) -> TemplateVersion:
    if row["letter_version"]:
        return pinned(connection, row["letter_version"])
    return compile_template(Catalogue(ws).find(row["template"], "letter", row["language"]))


def _draft_document(connection: Connection, ws: Workspace, row: Mapping[str, Any]) -> dict[str, Any]:
    details = details_of(connection, [row["statement_id"]]).get(row["statement_id"], [])
    key = (row["account_key"], row["bill_group_key"])
    with Graphs(ws) as graphs:
        return statement_document(statement=row, details=details, graph=graphs.of([key]).get(key), company=ws.company)


def _remember(connection: Connection, rows: Sequence[Mapping[str, Any]], digests: Sequence[str | None]) -> None:
    fresh = [
        (row["statement_id"], digest)
        for row, digest in zip(rows, digests, strict=True)
        if digest is not None and row["pdf_sha256"] is None
    ]
    update_stored(connection, statements, ["pdf_sha256"], fresh, key="statement_id")


def _report(connection: Connection, row: Mapping[str, Any], problem: str, *, now: datetime) -> None:
    raise_finding(
        connection,
        kind="pdf_not_made",
        object_kind="statement",
        object_id=row["statement_id"],
        severity="warning",
        message=f"the PDF of {row['number']} could not be made: {problem}",
        at=now,
    )
