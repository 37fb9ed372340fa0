"""The flow dunning: closes the drafts that the campaign claims, with its template and channels, and queues them."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from sqlalchemy import exists, select

from dunning_pipeline.campaigns.claims import claims_of
from dunning_pipeline.campaigns.declaration import Campaign
from dunning_pipeline.campaigns.timing import due_at
from dunning_pipeline.delivery.queue import queue_statement
from dunning_pipeline.errors import DunningError
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.schema import runs, sends, statements
from dunning_pipeline.settings.workspace import Workspace

Outcomes = dict[str, str]  # unified account → what became of it

# the better outcome of an account's several statements is the one that is told
_RANK = ("queued", "already_queued", "waits_for_review", "held", "refused", "failed")


def queue_claimed(
    ws: Workspace,
    campaign: Campaign,
    accounts: Collection[str],
    *,
    occurrence: str,
    planned_for: datetime,
    now: datetime,
    actor: str,
    at_once: bool,
) -> Outcomes:
    """Outcome per account: queued, no_statement, waits_for_review, held, refused, already_queued or failed."""
    day = now.astimezone(ws.company.zone).date()
    ensure_run(ws, day=day, now=now, actor=actor)
    outcomes = dict.fromkeys(accounts, "no_statement")
    rows = [row for row in _candidates(ws, day) if row["unified_account_id"] in outcomes]
    claimed = claims_of(ws, rows)
    mine = [row for row in rows if claimed.get(row["statement_id"]) == campaign.campaign]
    _close(ws, campaign, mine, now=now, actor=actor)
    for row in _again(ws, [row["statement_id"] for row in mine]):
        due = due_at(campaign, ws, planned_for=planned_for, now=now, time_zone=row["time_zone"], at_once=at_once)
        outcome = _queue(ws, campaign, row, occurrence=occurrence, due=due, now=now, actor=actor, at_once=at_once)
        account = row["unified_account_id"]
        known = outcomes[account]
        if known not in _RANK or _RANK.index(outcome) < _RANK.index(known):
            outcomes[account] = outcome
    return outcomes


def ensure_run(ws: Workspace, *, day: date, now: datetime, actor: str) -> None:
    """Decide for the day where nobody has yet; a campaign makes no decision of its own."""
    from dunning_pipeline.statements.runs import run

    with reading(open_ledger(ws)) as connection:
        done = connection.scalar(
            select(runs.c.run_id).where(runs.c.kind == "dunning", runs.c.dunning_date == day, runs.c.status == "done")
        )
    if done is None:
        run(ws, dunning_date=day, now=now, actor=actor)


def _candidates(ws: Workspace, day: date) -> list[dict[str, Any]]:
    """Drafts of the day, and closed statements that nobody has queued."""
    s = statements.c
    unsent = (s.status == "closed") & ~exists().where(sends.c.statement_id == s.statement_id)
    columns = [column for column in statements.columns if column.name != "content"]
    with reading(open_ledger(ws)) as connection:
        rows = connection.execute(
            select(*columns)
            .where(s.kind == "dunning", ((s.status == "draft") & (s.dunning_date == day)) | unsent)
            .order_by(s.statement_id)
        ).all()
    return [dict(row._mapping) for row in rows]


def _close(ws: Workspace, campaign: Campaign, rows: list[dict[str, Any]], *, now: datetime, actor: str) -> None:
    from dunning_pipeline.statements.closing import close

    drafts = [r for r in rows if r["status"] == "draft" and r["approval"] == "automatic" and not r["hold_reason"]]
    if drafts:
        close(ws, [row["statement_id"] for row in drafts], now=now, actor=actor)


def _again(ws: Workspace, ids: list[str]) -> list[dict[str, Any]]:
    from dunning_pipeline.ledger.bulk import chunks

    found: list[dict[str, Any]] = []
    with reading(open_ledger(ws)) as connection:
        for some in chunks(ids, 900):
            query = select(statements).where(statements.c.statement_id.in_(some)).order_by(statements.c.statement_id)
            found += [dict(row._mapping) for row in connection.execute(query)]
    return found


def _queue(
    ws: Workspace,
    campaign: Campaign,
    row: dict[str, Any],
    *,
    occurrence: str,
    due: datetime,
    now: datetime,
    actor: str,
    at_once: bool,
) -> str:
    if row["status"] == "draft":
        if row["hold_reason"]:
            return "held"
        return "waits_for_review" if row["approval"] == "review" else "refused"
    if row["status"] != "closed" or row["do_not_send"]:
        return "refused"
    channels = list(campaign.channels) or row["channels"]
    try:
        with open_ledger(ws).begin() as connection:
            queue_statement(
                connection,
                ws,
                statement=row,
                now=now,
                actor=actor,
                channels=channels,
                due_at=due,
                send_now=at_once,
                campaign=campaign.campaign,
                occurrence=occurrence,
                template=campaign.template,
            )
    except DunningError:
        return "already_queued"
    return "queued"
