"""What a person does to one statement: close, release, delete, void, send, its PDF."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.pages.statements import one_statement
from dunning_pipeline.console.typed import typed_addresses
from dunning_pipeline.delivery.permission.contact_points import normal_phone
from dunning_pipeline.errors import InvalidInput, Refused
from dunning_pipeline.statements.closing import close
from dunning_pipeline.statements.drafting import editing
from dunning_pipeline.statements.printing import file_pdfs, pdf_of
from dunning_pipeline.statements.sending import send_statements
from dunning_pipeline.statements.voiding import void


@allowed("approver")
def close_one(desk: Desk) -> Response:
    row, _ = one_statement(desk)
    seen = desk.typed("row_version")
    if seen and seen != str(row["row_version"]):
        raise Refused("the draft was changed since you opened it", remedy="look at it again, then close it")
    report = close(desk.workspace, [row["statement_id"]], now=desk.now, actor=desk.user.login)
    if report.refused:
        raise Refused(report.refused[row["statement_id"]], remedy="run again for this account, or edit the draft")
    return desk.go(f"/statements/{row['statement_id']}", desk.wording.text("Closed."))


@allowed("collector")
def release(desk: Desk) -> Response:
    row, _ = one_statement(desk)
    if not desk.typed("reason"):
        raise InvalidInput("a reason is needed", remedy="say why it may go out")
    editing.release(
        desk.workspace, row["statement_id"], reason=desk.typed("reason"), now=desk.now, actor=desk.user.login
    )
    return desk.go(f"/statements/{row['statement_id']}", desk.wording.text("The hold is taken off."))


@allowed("collector")
def delete_one(desk: Desk) -> Response:
    row, _ = one_statement(desk)
    editing.delete_drafts(desk.workspace, [row["statement_id"]], now=desk.now, actor=desk.user.login)
    return desk.go("/statements?status=draft", desk.wording.text("The draft is deleted."))


@allowed("approver")
def void_one(desk: Desk) -> Response:
    row, _ = one_statement(desk)
    void(desk.workspace, row["statement_id"], reason=desk.typed("reason"), now=desk.now, actor=desk.user.login)
    return desk.go(f"/statements/{row['statement_id']}", desk.wording.text("Voided; its postings are reversed."))


@allowed("collector")
def send_one(desk: Desk) -> Response:
    row, _ = one_statement(desk)
    if desk.request.method == "GET":
        return desk.page("send_statement.html", statement=row)
    overrides = _overrides(desk, row)
    as_draft = row["status"] == "draft" and not (desk.typed("close_first") and desk.user.may("approver"))
    report = send_statements(
        desk.workspace,
        [row["statement_id"]],
        as_draft=as_draft,
        again=bool(desk.typed("again")),
        send_now=desk.typed("when") == "now",
        channels=[str(value) for value in desk.form.getlist("channels")] or ["email"],
        overrides=overrides or None,
        now=desk.now,
        actor=desk.user.login,
    )
    if report.refused:
        raise Refused(next(iter(report.refused.values())))
    if not report.keys:
        raise Refused("nobody can be reached on these channels", remedy="name a recipient, or choose another channel")
    desk.record("statement.send", "statement", row["statement_id"], after={"sends": list(report.keys), **overrides})
    said = desk.wording.text("{n} messages are queued.", n=len(report.keys))
    return desk.go(f"/statements/{row['statement_id']}", said)


def _overrides(desk: Desk, row: Mapping[str, Any]) -> dict[str, Any]:
    """What this one sending shall have in place of what the statement says."""
    named = {who: typed_addresses(desk, who) for who in ("to", "cc", "bcc") if desk.typed(who)}
    named |= {
        who: [] for who in ("cc", "bcc") if who in desk.form and row["recipients"].get(who) and not desk.typed(who)
    }  # emptied by hand
    if desk.typed("bcc_to_me") and desk.typed("my_address"):
        named["bcc"] = [*named.get("bcc", []), *typed_addresses(desk, "my_address")]
    more: dict[str, Any] = {name: desk.typed(name) for name in ("subject", "body") if desk.typed(name)}
    if desk.typed("sms") not in ("", row["recipients"].get("sms")):
        land = (row["address"] or {}).get("country") or desk.workspace.company.country
        more["sms"] = normal_phone(desk.typed("sms"), land)
    if desk.typed("attachments") != "all":
        more["attachments"] = False if desk.typed("attachments") == "none" else "statement"
    return {**named, **more}


@allowed("viewer")
def download_pdf(desk: Desk) -> Response:
    row, _ = one_statement(desk)
    found, content = pdf_of(desk.workspace, row["statement_id"])
    headers = {"Content-Disposition": f'attachment; filename="{found["number"] or "draft"}.pdf"'}
    return Response(content, media_type="application/pdf", headers=headers)


@allowed("collector")
def recreate_pdf(desk: Desk) -> Response:
    row, _ = one_statement(desk)
    made = file_pdfs(desk.workspace, [row["statement_id"]], now=desk.now)
    if row["statement_id"] not in made:
        raise Refused("the PDF could not be made", remedy="the reason is among the findings")
    desk.record("statement.pdf", "statement", row["statement_id"])
    return desk.go(f"/statements/{row['statement_id']}", desk.wording.text("The PDF is made again."))


_ONE = "/statements/{statement_id}"
routes = [
    Route(f"{_ONE}/close", close_one, methods=["POST"]),
    Route(f"{_ONE}/release", release, methods=["POST"]),
    Route(f"{_ONE}/delete", delete_one, methods=["POST"]),
    Route(f"{_ONE}/void", void_one, methods=["POST"]),
    Route(f"{_ONE}/send", send_one, methods=["GET", "POST"]),
    Route(f"{_ONE}/pdf", download_pdf, methods=["GET"]),
    Route(f"{_ONE}/pdf", recreate_pdf, methods=["POST"]),
]
