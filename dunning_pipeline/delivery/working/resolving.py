"""Settles sends of which nobody knows whether they left: by the provider's activity log, or by a person."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from dunning_pipeline.delivery.events.vocabulary import UNDELIVERED
from dunning_pipeline.delivery.payments import payment_taken
from dunning_pipeline.delivery.working.outcomes import after_sent
from dunning_pipeline.errors import NotThere, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.findings import resolve_findings_of
from dunning_pipeline.ledger.schema import provider_events, send_attempts, sends
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.levels import record_revoked

# Of what a person, an event or the provider's log may say that it was sent (what waits in a restored ledger may have
# left before); that it was not is said of an unknown one alone.
MAY_HAVE_LEFT = ("unknown", "queued", "held")
_OPEN = {True: MAY_HAVE_LEFT, False: ("unknown",)}


def resolve_by_person(
    ws: Workspace, key: str, *, was_sent: bool, now: datetime, actor: str, reason: str | None = None
) -> None:
    """A person knows: `sent`, or not sent and therefore queued again; of one that waits, that it left before (from a
    ledger whose backup this is). Raises NotThere, Refused.
    """
    with open_ledger(ws).begin() as connection:
        row = connection.execute(select(sends).where(sends.c.send_key == key)).mappings().one_or_none()
        if row is None:
            raise NotThere("there is no such send", value=key)
        if row["status"] not in _OPEN[was_sent]:
            if was_sent:
                raise Refused(f"this send is {row['status']}; only an unknown or waiting one is called sent", value=key)
            raise Refused(f"this send is {row['status']}; only an unknown one is called not sent", value=key)
        settle(connection, ws, row, was_sent=was_sent, now=now, actor=actor, reason=reason or "by a person")


def ask_provider(ws: Workspace, key: str, *, now: datetime, actor: str) -> dict[str, str]:
    """Ask the Email Activity API about one unknown send, or about `all`; key → sent or still unknown.

    The activity log proves that a message arrived there. That it does not name one proves nothing (it lags behind):
    such a send stays unknown, for an event or a person.
    """
    from dunning_pipeline.delivery.providers.sendgrid import SendGrid

    wanted = select(sends).where(sends.c.status == "unknown", sends.c.provider == "sendgrid")
    if key != "all":
        wanted = wanted.where(sends.c.send_key == key)
    with reading(open_ledger(ws)) as connection:
        rows = connection.execute(wanted).mappings().all()
    if not rows and key != "all":
        raise NotThere("there is no unknown send of that key at SendGrid", value=key)
    told: dict[str, str] = {}
    provider = SendGrid.from_environment()
    try:
        for row in rows:
            if provider.find(row["send_key"]):
                with open_ledger(ws).begin() as connection:
                    settle(
                        connection,
                        ws,
                        row,
                        was_sent=True,
                        now=now,
                        actor=actor,
                        reason="by the provider's activity log",
                    )
                told[row["send_key"]] = "sent"
            else:
                told[row["send_key"]] = "still unknown"
    finally:
        provider.close()
    return told


def settle_told(connection: Connection, ws: Workspace, rows: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    """Settle sends that just became unknown and of which the provider's events told before our request gave up."""
    told: dict[str, set[str]] = {}
    providers = {row["send_key"]: row["provider"] for row in rows}
    of_them = select(provider_events).where(provider_events.c.send_key.in_(providers))
    for event in connection.execute(of_them):
        if event.provider == providers[event.send_key]:
            told.setdefault(event.send_key, set()).add(event.event)
    for row in rows:
        names = told.get(row["send_key"], set())
        if not names or (row["channel"] == "payment_retry" and "succeeded" not in names):
            continue
        settle(connection, ws, row, was_sent=True, now=now, actor="delivery", reason="by an event that came first")
        delivery = connection.scalar(select(sends.c.delivery).where(sends.c.send_key == row["send_key"]))
        if delivery in UNDELIVERED and row["statement_id"]:  # what follows a bounce was done when it was told
            record_revoked(connection, statement_id=row["statement_id"], now=now)


def settle(
    connection: Connection, ws: Workspace, row: Any, *, was_sent: bool, now: datetime, actor: str, reason: str
) -> bool:
    """Move an unknown send to sent or queued, or a waiting one to sent; False where somebody settled it meanwhile."""
    values: dict[str, Any] = (
        {"status": "sent", "sent_at": now, "reason": None}
        if was_sent
        else {"status": "queued", "reason": None, "next_attempt_at": None}
    )
    changed = connection.execute(
        update(sends).where(sends.c.send_key == row["send_key"], sends.c.status.in_(_OPEN[was_sent])).values(**values)
    ).rowcount
    if not changed:
        return False
    connection.execute(
        send_attempts.insert().values(
            attempt_id=f"{row['send_key']}:{row['attempts']}:resolved:{now.timestamp():.6f}",
            send_key=row["send_key"],
            attempt=row["attempts"],
            outcome="resolved",
            provider=row["provider"],
            answer=f"{'sent' if was_sent else 'not sent'}, {reason}",
            at=now,
            by=actor,
        )
    )
    audit.record(
        connection,
        actor=actor,
        action="send.resolve",
        object_kind="send",
        object_id=row["send_key"],
        after={"sent": was_sent},
        reason=reason,
        at=now,
    )
    resolve_findings_of(connection, kind="send_unknown", object_id=row["send_key"], by=actor, at=now)
    if was_sent:
        after_sent(connection, ws, [row], now=now)
        if row["channel"] == "payment_retry":
            payment_taken(connection, ws, row, state="succeeded", now=now)
    return True
