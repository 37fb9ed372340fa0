"""Fees, interest and lump sums of an account: waived, or marked as paid."""

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.pages.accounts import account_path, account_row
from dunning_pipeline.console.typed import typed_amount
from dunning_pipeline.statements.booking import charges


@allowed("collector")
def charge(desk: Desk) -> Response:
    account = account_row(desk, desk.request.path_params["account_key"])
    posting_id = desk.typed("posting_id")
    with desk.engine.begin() as connection:
        found = charges.list_charges(connection, account=account["account_key"], ids=[posting_id])
        if not found:
            raise HTTPException(404, "there is no such charge")
        if desk.typed("action") == "waive":
            charges.waive(
                connection,
                posting_id,
                on=desk.today,
                reason=desk.typed("reason"),
                actor=desk.user.login,
                now=desk.now,
            )
        else:
            currency = found[0].posting["currency"]
            charges.pay(
                connection,
                posting_id,
                amount_minor=typed_amount(desk, "amount", currency) or found[0].owed_minor,
                reference=desk.typed("reason"),
                on=desk.today,
                actor=desk.user.login,
                now=desk.now,
            )
    return desk.go(f"{account_path(account['account_key'])}/holds", desk.wording.text("Recorded."))


routes = [Route("/accounts/{account_key:path}/charge", charge, methods=["POST"])]
