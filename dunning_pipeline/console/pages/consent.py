"""Consent and suppressions: what is recorded, a CSV upload shown before it is taken, numbers and addresses to avoid."""

import tempfile
from pathlib import Path

from sqlalchemy import select
from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.listing import Listing, listed
from dunning_pipeline.console.scope import needs_all_accounts
from dunning_pipeline.delivery.permission.consent_files import import_file, judge_file
from dunning_pipeline.delivery.permission.suppressions import lift, suppress
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import consents, suppressions

EMPTY = Listing([], 1, False, 0, False)
LARGEST_UPLOAD = 20 * 1024 * 1024


@allowed("viewer")
def show_consent(desk: Desk) -> Response:
    if not desk.asked("q") and desk.user.row_scope is not None:
        return desk.page("consent.html", consents=EMPTY, suppressions=EMPTY)  # one contact point at a time
    said = select(consents)
    avoided = select(suppressions).where(suppressions.c.lifted_at.is_(None))
    if desk.asked("q"):
        said = said.where(consents.c.contact_point == desk.asked("q").lower())
        avoided = avoided.where(suppressions.c.contact_point == desk.asked("q").lower())
    with reading(desk.engine) as connection:
        consent_list = listed(
            desk,
            connection,
            said,
            sorts={"consented_at": consents.c.consented_at},
            default_sort="-consented_at",
            tie=consents.c.consent_id,
        )
        avoid_list = listed(
            desk,
            connection,
            avoided,
            sorts={"created_at": suppressions.c.created_at},
            default_sort="-created_at",
            tie=suppressions.c.suppression_id,
        )
    return desk.page("consent.html", consents=consent_list, suppressions=avoid_list)


@allowed("collector")
def upload(desk: Desk) -> Response:
    """First the preview of what would change; the same file with `confirm` is taken."""
    needs_all_accounts(desk)
    given = desk.form.get("file")
    text = given.file.read(LARGEST_UPLOAD + 1) if isinstance(given, UploadFile) else desk.typed("content").encode()
    if not text:
        raise InvalidInput("no file was chosen", remedy="choose a CSV of contact points and dates")
    if len(text) > LARGEST_UPLOAD:
        raise InvalidInput("the file is larger than 20 MB", remedy="use `dunning consent import`")
    declared = {
        "channel": desk.typed("channel"),
        "subscription": desk.typed("subscription", "dunning") or "dunning",
        "status": desk.typed("status"),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "upload.csv"
        file.write_bytes(text)
        if not desk.typed("confirm"):
            changes, report = judge_file(desk.workspace, file, now=desk.now, **declared)
            return desk.page(
                "consent_preview.html",
                changes=changes,
                report=report,
                declared=declared,
                content=text.decode("utf-8", errors="replace"),
            )
        report = import_file(desk.workspace, file, now=desk.now, **declared)
    desk.record("consent.import", "contact_point", declared["channel"], after={**declared, "new": report.rows_new})
    return desk.go("/consent", desk.wording.text("{n} consents are new.", n=report.rows_new))


@allowed("collector")
def change_suppression(desk: Desk) -> Response:
    point, channel = desk.typed("contact_point"), desk.typed("channel", "email")
    if not desk.typed("reason"):
        raise InvalidInput("a reason is needed", remedy="say why")
    with desk.engine.begin() as connection:
        if desk.typed("action") == "lift":
            lift(connection, point, channel=channel, actor=desk.user.login, at=desk.now)
        else:
            origin = f"{desk.user.login}: {desk.typed('reason')}"
            suppress(connection, point, channel=channel, reason="manual", origin=origin, at=desk.now)
    action = f"suppression.{desk.typed('action', 'add')}"
    desk.record(action, "contact_point", point, reason=desk.typed("reason"))
    return desk.go("/consent", desk.wording.text("Recorded."))


routes = [
    Route("/consent", show_consent, methods=["GET"]),
    Route("/consent/upload", upload, methods=["POST"]),
    Route("/consent/suppression", change_suppression, methods=["POST"]),
]
