"""Gives a waiting or failed send the template that is published now: it was queued with one that turned out wrong."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from dunning_pipeline.delivery.queue import RENDERED, content_of, facts_of
from dunning_pipeline.errors import NotThere, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.schema import sends, statements, template_versions
from dunning_pipeline.letters.versions import pin, published
from dunning_pipeline.settings.workspace import Workspace

RENEWABLE = ("queued", "held", "failed")


def renew_template(connection: Connection, ws: Workspace, key: str, *, now: datetime, actor: str) -> str:
    """Pin the newest published version of the send's template instead of the one it was queued with; the version.

    Nothing else of the send changes, and its key stays: it is the same message, in corrected words.
    Raises NotThere, and Refused where it may have left, has no template, or has the newest version already.
    """
    found = connection.execute(select(sends).where(sends.c.send_key == key)).mappings().one_or_none()
    if found is None:
        raise NotThere("there is no such send", value=key)
    row = dict(found)
    if row["status"] not in RENEWABLE:
        raise Refused(f"this send is {row['status']}; its words cannot change any more", value=key)
    if row["channel"] not in RENDERED:
        raise Refused(f"a {row['channel']} has no template", value=key)
    statement = _statement_of(connection, row)
    if row["channel"] == "letter" and (statement or {}).get("letter_version"):
        raise Refused(
            "the letter of a closed statement is the one that was filed at closing",
            value=key,
            remedy="void the statement and close it anew with the corrected template",
        )
    version = pin(connection, ws, template=row["template"], channel=row["channel"], language=row["language"], now=now)
    if version == row["template_version"]:
        raise Refused(
            "the newest published template is the one that this send has",
            value=row["template_version"],
            remedy=f"correct it, publish it with `dunning template publish {row['template']}`, then try again",
        )
    facts = facts_of(statement) if statement else {}
    connection.execute(
        update(sends)
        .where(sends.c.send_key == key, sends.c.status == row["status"])
        .values(template_version=version, content_sha256=content_of(row, facts, version))
    )
    audit.record(
        connection,
        actor=actor,
        action="send.renew_template",
        object_kind="send",
        object_id=key,
        before={"template_version": row["template_version"]},
        after={"template_version": version},
        at=now,
    )
    return version


def has_newer_template(connection: Connection, key: str) -> bool:
    """Whether a version was published, for its language, since the one that this send was queued with."""
    row = connection.execute(select(sends).where(sends.c.send_key == key)).one()
    if row.template_version is None:
        return False
    pinned_language = select(template_versions.c.language).where(template_versions.c.version == row.template_version)
    language = connection.scalar(pinned_language)
    newest = published(connection, row.template, row.channel, language or row.language)
    return newest is not None and newest.version != row.template_version


def _statement_of(connection: Connection, row: Mapping[str, Any]) -> dict[str, Any] | None:
    wanted = statements.c.statement_id == row["statement_id"]
    found = connection.execute(select(statements).where(wanted)).mappings().one_or_none()
    return dict(found) if found is not None else None
