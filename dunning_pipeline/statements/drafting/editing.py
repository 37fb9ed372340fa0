"""Edits drafts by hand, with optimistic locking; what a person set survives every later run."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select, update

from dunning_pipeline.delivery.permission.contact_points import normal
from dunning_pipeline.dunning.processes import CHANNELS
from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.findings import resolve_findings_of
from dunning_pipeline.ledger.reading import details_of
from dunning_pipeline.ledger.schema import statements
from dunning_pipeline.letters.document import TEXT_FIELDS, statement_document
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.drafting.drafts import EDITABLE, remove_drafts
from dunning_pipeline.statements.graphs import Graphs
from dunning_pipeline.statements.printing import template_texts


def edit(
    ws: Workspace,
    statement_id: str,
    changes: Mapping[str, Any],
    *,
    row_version: int | None,
    now: datetime,
    actor: str,
) -> int:
    """Set fields of a draft (see EDITABLE; `texts` is merged by field, empty text = the template's); its new version.

    `row_version` is the version that the person saw; None takes the newest. The same values again change nothing.
    Raises Refused for a stale version or a statement that is no draft, InvalidInput for a field or value that may not
    be set, NotThere.
    """
    checked = {name: _checked(name, value) for name, value in changes.items()}
    with open_ledger(ws).begin() as connection:
        row = draft_for_update(connection, statement_id, row_version=row_version)
        if "texts" in checked:
            checked["texts"] = {k: v for k, v in {**row["texts"], **checked["texts"]}.items() if v}
        before = {name: row[name] for name in checked}
        fresh = {name: value for name, value in checked.items() if value != before[name]}
        if not fresh:
            return int(row["row_version"])
        conflicts = {name: value for name, value in row["conflicts"].items() if name not in fresh}
        hand_edits = {**row["hand_edits"], **{name: _plain(value) for name, value in fresh.items()}}
        _write(connection, row, {**fresh, "hand_edits": hand_edits, "conflicts": conflicts}, now=now, actor=actor)
        audit.record(
            connection,
            actor=actor,
            action="statement.edit",
            object_kind="statement",
            object_id=row["statement_id"],
            before={name: before[name] for name in fresh},
            after=fresh,
            at=now,
        )
        return int(row["row_version"]) + 1


def release(ws: Workspace, statement_id: str, *, reason: str, now: datetime, actor: str) -> None:
    """Take the hold off a draft after a person has looked at it. Raises Refused where it is no draft."""
    with open_ledger(ws).begin() as connection:
        row = draft_for_update(connection, statement_id, row_version=None)
        if row["hold_reason"] is None:
            return
        _write(connection, row, {"hold_reason": None}, now=now, actor=actor)
        resolve_findings_of(connection, kind="statement_held", object_id=row["account_key"], by=actor, at=now)
        audit.record(
            connection,
            actor=actor,
            action="statement.release",
            object_kind="statement",
            object_id=row["statement_id"],
            before={"hold_reason": row["hold_reason"]},
            reason=reason,
            at=now,
        )


def copy_text(ws: Workspace, statement_id: str, *, now: datetime, actor: str) -> dict[str, str]:
    """Fill the draft's empty text fields with what the template says today, ready to be changed; the texts."""
    with open_ledger(ws).begin() as connection:
        row = draft_for_update(connection, statement_id, row_version=None)
        document = draft_document(connection, ws, row)
    said = template_texts(ws, template=row["template"], language=row["language"], document=document)
    texts = {name: said[name] for name in TEXT_FIELDS if said.get(name) and not row["texts"].get(name)}
    edit(ws, statement_id, {"texts": texts}, row_version=row["row_version"], now=now, actor=actor)
    return {**row["texts"], **texts}


def delete_drafts(ws: Workspace, ids: Sequence[str], *, now: datetime, actor: str, reason: str = "by hand") -> int:
    """Delete drafts; how many. Raises Refused where one of them is no draft: then none is deleted."""
    with open_ledger(ws).begin() as connection:
        rows = [draft_for_update(connection, key, row_version=None) for key in ids]
    return remove_drafts(open_ledger(ws), [row["statement_id"] for row in rows], now=now, actor=actor, reason=reason)


def draft_for_update(connection: Connection, statement_id: str, *, row_version: int | None) -> dict[str, Any]:
    """The draft's row, locked. Raises NotThere, or Refused where it is no draft or has changed since."""
    found = connection.execute(
        select(statements).where(statements.c.statement_id == statement_id).with_for_update()
    ).one_or_none()
    if found is None:
        raise NotThere("there is no such statement", value=statement_id)
    if found.status != "draft":
        raise Refused(
            f"the statement is {found.status}: only drafts are changed",
            value=found.number or statement_id,
            remedy="void it and make a new one" if found.status == "closed" else None,
        )
    if row_version is not None and found.row_version != row_version:
        raise Refused(
            f"{found.updated_by} has changed this draft since you opened it",
            value={"your version": row_version, "its version": found.row_version},
            remedy="look at it again, then change it",
        )
    return dict(found._mapping)


def draft_document(connection: Connection, ws: Workspace, row: Mapping[str, Any]) -> dict[str, Any]:
    """The merge document of a statement as it is now; a closed one has its frozen content."""
    if row.get("content"):
        return dict(row["content"])
    details = details_of(connection, [row["statement_id"]]).get(row["statement_id"], [])
    key = (row["account_key"], row["bill_group_key"])
    with Graphs(ws) as graphs:
        graph = graphs.of([key]).get(key)
    return statement_document(statement=row, details=details, graph=graph, company=ws.company)


def _write(
    connection: Connection, row: Mapping[str, Any], values: Mapping[str, Any], *, now: datetime, actor: str
) -> None:
    connection.execute(
        update(statements)
        .where(statements.c.statement_id == row["statement_id"], statements.c.row_version == row["row_version"])
        .values(**values, row_version=row["row_version"] + 1, updated_at=now, updated_by=actor)
    )


def _checked(name: str, value: Any) -> Any:
    """The value as it is stored. Raises InvalidInput where the field or the value may not be set."""
    if name not in EDITABLE:
        raise InvalidInput(f"{name} of a draft is not set by hand", remedy=f"fields that can be: {', '.join(EDITABLE)}")
    if name == "due_date":
        return value if isinstance(value, date) else _date(value)
    if name == "channels":
        wrong = [channel for channel in value if channel not in CHANNELS]
        if wrong:
            raise InvalidInput("there is no such channel", value=wrong[0], remedy=f"one of {', '.join(CHANNELS)}")
        return list(value)
    if name == "texts":
        wrong = [field for field in value if field not in TEXT_FIELDS]
        if wrong:
            raise InvalidInput("there is no such text", value=wrong[0], remedy=f"one of {', '.join(TEXT_FIELDS)}")
        return dict(value)
    if name == "recipients":
        said = {who: _addresses(value.get(who), channel="email") for who in ("to", "cc", "bcc")}
        return {**said, "sms": _addresses(value.get("sms"), channel="sms"), "trace": [{"said_by": "hand"}]}
    return value


def _addresses(value: Any, *, channel: str) -> list[str]:
    """The addresses as typed, each once. Raises InvalidInput for what is none."""
    given = value.split(",") if isinstance(value, str) else list(value or ())
    found = list(dict.fromkeys(text.strip() for text in given if text.strip()))
    for text in found:
        normal(text, channel)
    return found


def _date(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise InvalidInput("this is no date", value=value, remedy="write YYYY-MM-DD") from None


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
