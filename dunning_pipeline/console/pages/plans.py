"""One collection plan: its invoices, and the button that sends its message from the record."""

from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.campaigns.plan_sending import send_by_hand
from dunning_pipeline.console import published
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.pages.accounts import account_row
from dunning_pipeline.letters.catalogue import Catalogue


@allowed("viewer")
def show_plan(desk: Desk) -> Response:
    plan = _plan(desk)
    items = published.found(
        desk.workspace,
        """select items.*, invoices.invoice_number, open_items.open_amount, open_items.days_overdue, open_items.currency
        from collection_plan_items as items
        left join invoices on invoices.invoice_key = items.invoice_key
        left join open_items on open_items.invoice_key = items.invoice_key
        where items.plan_key = ? order by invoices.invoice_number""",
        [plan["plan_key"]],
    )
    account = account_row(desk, plan["account_key"])
    return desk.page("plan.html", plan=plan, items=items, account=account, templates=Catalogue(desk.workspace).names())


@allowed("collector")
def send(desk: Desk) -> Response:
    plan = _plan(desk)
    outcome = send_by_hand(
        desk.workspace,
        "plan",
        plan["plan_key"],
        template=desk.typed("template"),
        now=desk.now,
        actor=desk.user.login,
        send_now=desk.typed("when") == "now",
    )
    desk.record("plan.send", "collection_plan", plan["plan_key"], after={"outcome": outcome})
    said = "The message is queued." if outcome == "queued" else "It was queued today already; nothing is sent twice."
    return desk.go(f"/plans/{quote(plan['plan_key'], safe=':')}", desk.wording.text(said))


def _plan(desk: Desk) -> dict[str, Any]:
    key = desk.request.path_params["plan_key"]
    plan = published.first(desk.workspace, "select * from collection_plans where plan_key = ?", [key])
    if plan is None:
        raise HTTPException(404, "there is no such collection plan")
    account_row(desk, plan["account_key"])  # 404 out of the user's scope
    return plan


routes = [
    Route("/plans/{plan_key:path}", show_plan, methods=["GET"]),
    Route("/plans/{plan_key:path}", send, methods=["POST"]),
]
