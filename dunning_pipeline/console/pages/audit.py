"""The audit: every change with who, when, before and after."""

from sqlalchemy import or_, select
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.listing import listed
from dunning_pipeline.console.scope import needs_all_accounts
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import audit


@allowed("approver")
def show_audit(desk: Desk) -> Response:
    needs_all_accounts(desk)
    query = select(audit)
    if desk.asked("actor"):
        query = query.where(audit.c.actor == desk.asked("actor"))
    if desk.asked("object"):
        query = query.where(or_(audit.c.object_id == desk.asked("object"), audit.c.object_kind == desk.asked("object")))
    with reading(desk.engine) as connection:
        listing = listed(desk, connection, query, sorts={"at": audit.c.at}, default_sort="-at", tie=audit.c.audit_id)
    return desk.page("audit.html", listing=listing)


routes = [Route("/audit", show_audit)]
