"""Editing a draft: two people at once lose nothing, as what each changed is kept apart from what each only saw."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.pages.statements import one_statement
from dunning_pipeline.errors import DunningError, InvalidInput
from dunning_pipeline.letters.document import TEXT_FIELDS
from dunning_pipeline.statements.drafting import editing

ADDRESS = ("name", "street", "postal_code", "city", "state", "country")
RECIPIENTS = ("to", "cc", "bcc", "sms")
LONGEST_LIST = 2_000
Fields = dict[str, str]


@allowed("collector")
def edit(desk: Desk) -> Response:
    row, _ = one_statement(desk)
    if desk.request.method == "GET":
        return _form(desk, row, _said(row))
    return _saved(desk, row) or desk.go(f"/statements/{row['statement_id']}", desk.wording.text("Saved."))


@allowed("collector")
def copy_text(desk: Desk) -> Response:
    """Fill the empty texts from the template; what was typed beside them is saved with it."""
    row, _ = one_statement(desk)
    if desk.form.get("row_version") is not None and (refused := _saved(desk, row)):
        return refused
    editing.copy_text(desk.workspace, row["statement_id"], now=desk.now, actor=desk.user.login)
    return desk.go(f"/statements/{row['statement_id']}/edit", desk.wording.text("The template's texts are filled in."))


def _saved(desk: Desk, row: dict[str, Any]) -> Response | None:
    """Save what was typed; where it cannot be, the form with all that was typed, and what somebody else changed."""
    typed, seen, version = _typed(desk), _seen(desk), desk.typed("row_version")
    try:
        editing.edit(
            desk.workspace,
            row["statement_id"],
            _changes(typed, _said(row)),
            row_version=int(version) if version.isdigit() else None,
            now=desk.now,
            actor=desk.user.login,
        )
    except DunningError as error:
        now, _ = one_statement(desk)
        said = _said(now)
        theirs = {name: said[name] for name in said if seen and said[name] != seen.get(name, said[name])}
        # what only they changed is taken over; what both changed stays as typed, with theirs told beside it
        kept = {name: said[name] if name in theirs and typed[name] == seen.get(name) else typed[name] for name in typed}
        return _form(desk, now, kept, error=error, theirs=theirs)
    return None


def _form(
    desk: Desk,
    row: Mapping[str, Any],
    typed: Fields,
    *,
    error: DunningError | None = None,
    theirs: Mapping[str, str] | None = None,
) -> Response:
    return desk.page(
        "edit.html",
        http_status=409 if error else 200,
        statement=row,
        typed=typed,
        seen=orjson.dumps(_said(row)).decode(),
        error=error,
        theirs=theirs or {},
        text_fields=TEXT_FIELDS,
        address_fields=ADDRESS,
        recipient_fields=RECIPIENTS,
        channels=editing.CHANNELS,
    )


def _said(row: Mapping[str, Any]) -> Fields:
    """The draft as the fields of its form."""
    fields = {f"text_{name}": row["texts"].get(name) or "" for name in TEXT_FIELDS}
    fields |= {who: ", ".join(_as_list(row["recipients"].get(who))) for who in RECIPIENTS}
    fields |= {f"address_{part}": row["address"].get(part) or "" for part in ADDRESS}
    return fields | {
        "due_date": row["due_date"].isoformat() if row["due_date"] else "",
        "language": row["language"],
        "channels": ",".join(sorted(row["channels"])),
        "attach_invoices": "1" if row["attach_invoices"] else "",
    }


def _typed(desk: Desk) -> Fields:
    names = [*(f"text_{name}" for name in TEXT_FIELDS), *RECIPIENTS, *(f"address_{part}" for part in ADDRESS)]
    fields = {name: desk.typed(name).replace("\r\n", "\n") for name in (*names, "due_date", "language")}
    channels = ",".join(sorted(str(value) for value in desk.form.getlist("channels")))
    return fields | {"channels": channels, "attach_invoices": "1" if desk.typed("attach_invoices") == "1" else ""}


def _seen(desk: Desk) -> Fields:
    """The fields as they were when the form was opened."""
    try:
        seen = orjson.loads(desk.typed("seen") or "{}")
    except orjson.JSONDecodeError:
        return {}
    return {str(name): str(value) for name, value in seen.items()} if isinstance(seen, dict) else {}


def _changes(typed: Fields, said: Fields) -> dict[str, Any]:
    """Only what differs from the draft, so that fields nobody touched do not count as edited by hand."""
    changes: dict[str, Any] = {"texts": {name: typed[f"text_{name}"] for name in TEXT_FIELDS}}
    for who in RECIPIENTS:
        if len(typed[who]) > LONGEST_LIST:
            raise InvalidInput(f"{who}: the list is too long", remedy="write fewer addresses")
    if any(typed[who] != said[who] for who in RECIPIENTS):
        changes["recipients"] = {who: typed[who] for who in RECIPIENTS}
    if any(typed[f"address_{part}"] != said[f"address_{part}"] for part in ADDRESS):
        changes["address"] = {part: typed[f"address_{part}"] or None for part in ADDRESS}
    for name in ("due_date", "language"):
        if typed[name] != said[name]:
            changes[name] = typed[name]
    if typed["channels"] != said["channels"]:
        changes["channels"] = [name for name in typed["channels"].split(",") if name]
    if typed["attach_invoices"] != said["attach_invoices"]:
        changes["attach_invoices"] = typed["attach_invoices"] == "1"
    return changes


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


_ONE = "/statements/{statement_id}"
routes = [
    Route(f"{_ONE}/edit", edit, methods=["GET", "POST"]),
    Route(f"{_ONE}/copy-text", copy_text, methods=["POST"]),
]
