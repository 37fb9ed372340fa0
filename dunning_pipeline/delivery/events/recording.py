"""Stores events once and lets them count: states of sends, suppressions, consents, and what a bounce leads to."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Update, bindparam, or_, select, update

from dunning_pipeline.delivery.events.bounces import after_bounces
from dunning_pipeline.delivery.events.vocabulary import RANKS, UNDELIVERED, Event, lower_than
from dunning_pipeline.delivery.payments import payment_declined, payment_taken
from dunning_pipeline.delivery.permission.consent import record_consent
from dunning_pipeline.delivery.permission.contact_points import normal
from dunning_pipeline.delivery.permission.suppressions import lift, suppress
from dunning_pipeline.delivery.working.outcomes import after_sent
from dunning_pipeline.delivery.working.resolving import MAY_HAVE_LEFT
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger.bulk import chunks, insert_unless_there
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.schema import provider_events, send_attempts, sends
from dunning_pipeline.settings.workspace import Workspace

# Waiting ones, too: what is queued in a ledger that was restored may have left before.
_UNSETTLED = sends.c.status.in_(MAY_HAVE_LEFT)
_TAKEN_BACK = select(sends).where(
    sends.c.send_key.in_(bindparam("keys", expanding=True)),
    sends.c.status.in_(("cancelled", "superseded")),
    sends.c.channel != "payment_retry",  # its money is recorded whatever we thought of it
)
_UNSETTLED_OF = select(sends).where(sends.c.send_key.in_(bindparam("keys", expanding=True)), _UNSETTLED)
# An unsubscribe at the provider is a no to everything that we send by mail.
SUBSCRIPTIONS = ("dunning", "campaigns")
# Suppressions that the recipient's own yes ends; what a person here suppressed stays so.
OWN_NO = ("stop_word", "invalid")

Told = tuple[Workspace, Sequence[Event], datetime, datetime]  # of one request: received at, business now


def record_together(connection: Connection, asked: Sequence[Told]) -> list[int]:
    """Store what is new among the events of many requests of one moment, and apply it; how many were new in each.

    Told twice, or out of order, changes nothing.
    """
    ws, _, received_at, now = asked[-1]
    fresh = _store(connection, _with_keys(connection, [event for told in asked for event in told[1]]), received_at)
    if fresh:
        _apply(connection, ws, fresh, now)
    new, counts = {event.event_id for event in fresh}, []
    for _, events, _, _ in asked:
        mine = {event.event_id for event in events} & new
        new -= mine
        counts.append(len(mine))
    return counts


def _apply(connection: Connection, ws: Workspace, fresh: Sequence[Event], now: datetime) -> None:
    _settle(connection, ws, fresh, now)
    _move(connection, fresh)
    for event in fresh:
        if event.suppress or event.opts_out or event.event == "resubscribed":
            _remember_address(connection, event, now)
    _pay(connection, ws, fresh, now)
    undelivered = {event.send_key for event in fresh if event.event in UNDELIVERED and event.send_key}
    if undelivered:
        after_bounces(connection, ws, sorted(undelivered), now=now)


def _with_keys(connection: Connection, events: Sequence[Event]) -> list[Event]:
    """Events without our key get it by the provider's message id, where we know that."""
    ids = {event.message_id for event in events if event.send_key is None and event.message_id}
    if not ids:
        return list(events)
    rows = connection.execute(
        select(sends.c.provider_message_id, sends.c.send_key).where(sends.c.provider_message_id.in_(ids))
    )
    known = {row.provider_message_id: row.send_key for row in rows}
    return [
        event
        if event.send_key is not None or event.message_id not in known
        else _replaced(event, send_key=known[event.message_id])
        for event in events
    ]


def _store(connection: Connection, events: Iterable[Event], received_at: datetime) -> list[Event]:
    once = {event.event_id: event for event in events}
    fresh: list[Event] = []
    for chunk in chunks(list(once.values()), 500):
        rows = [
            {
                "event_id": event.event_id,
                "provider": event.provider,
                "event": event.event,
                "send_key": event.send_key,
                "address": event.address,
                "occurred_at": event.occurred_at,
                "received_at": received_at,
                "payload": event.payload,
            }
            for event in chunk
        ]
        fresh += [once[event_id] for event_id in insert_unless_there(connection, provider_events, rows)]
    return fresh


def _settle(connection: Connection, ws: Workspace, fresh: Sequence[Event], now: datetime) -> None:
    """An event with our key proves that the provider has the message: what was unknown, or waits here, is sent; of what
    was cancelled here a person learns."""
    keys = sorted({event.send_key for event in fresh if event.send_key})
    by_key = {event.send_key: event for event in fresh}
    for chunk in chunks(keys, 500):
        found = connection.execute(_UNSETTLED_OF, {"keys": chunk}).mappings().all()
        rows = [dict(row) for row in found if row["provider"] in (None, by_key[row["send_key"]].provider)]
        for row in rows:
            connection.execute(
                update(sends)
                .where(sends.c.send_key == row["send_key"], _UNSETTLED)
                .values(status="sent", reason=None, sent_at=now, next_attempt_at=None)
            )
            event = by_key[row["send_key"]]
            connection.execute(
                send_attempts.insert().values(
                    attempt_id=f"{row['send_key']}:{row['attempts']}:event:{event.event_id}",
                    send_key=row["send_key"],
                    attempt=row["attempts"],
                    outcome="resolved",
                    provider=event.provider,
                    provider_status=event.event,
                    answer="the provider's event carries our key",
                    at=now,
                    by="webhook",
                )
            )
        after_sent(connection, ws, rows, now=now)
        for gone in connection.execute(_TAKEN_BACK, {"keys": chunk}):
            recipients = ", ".join(gone.recipients.get("to") or ())
            raise_finding(
                connection,
                kind="left_though_cancelled",
                object_kind="send",
                object_id=gone.send_key,
                severity="warning",
                message=f"the message to {recipients} was cancelled here and has left",
                at=now,
            )


def _move(connection: Connection, fresh: Sequence[Event]) -> None:
    """Each send's `delivery` becomes the highest state told so far; arrival order does not matter."""
    for name in sorted({event.event for event in fresh if event.event in RANKS}, key=RANKS.__getitem__):
        told = [event for event in fresh if event.event == name and event.send_key]
        if told:
            connection.execute(_moved_to(name), [{"k": event.send_key, "t": event.occurred_at} for event in told])


@cache
def _moved_to(name: str) -> Update:
    return (
        update(sends)
        .where(
            sends.c.send_key == bindparam("k"),
            # single comparisons: a list cannot be expanded in an executemany
            or_(sends.c.delivery.is_(None), *(sends.c.delivery == lower for lower in lower_than(name))),
        )
        .values(delivery=name, delivery_at=bindparam("t"))
    )


def _pay(connection: Connection, ws: Workspace, fresh: Sequence[Event], now: datetime) -> None:
    """Debits that took days: paid or declined, as the payment provider tells at last."""
    for event in fresh:
        if event.event not in ("processing", "succeeded", "declined") or not event.send_key:
            continue
        found = connection.execute(select(sends).where(sends.c.send_key == event.send_key)).mappings().one_or_none()
        if found is None or found["channel"] != "payment_retry":
            continue
        row = {**found, "provider_message_id": found["provider_message_id"] or event.message_id}
        if event.event == "declined":
            payment_declined(connection, ws, row, reason=event.reason, now=now)
        else:
            payment_taken(connection, ws, row, state=event.event, now=now)


def _remember_address(connection: Connection, event: Event, now: datetime) -> None:
    if not event.address:
        return
    origin = f"{event.provider} event {event.event_id}"
    try:
        point = normal(event.address, event.channel)
    except InvalidInput:
        return  # an address that is none needs no suppression: the gate holds it
    if event.suppress:
        suppress(connection, point, channel=event.channel, reason=event.suppress, origin=origin, at=now)
    if event.event == "resubscribed" and event.channel == "sms":
        lift(connection, point, channel="sms", actor=event.provider, at=now, reasons=OWN_NO)
    if event.opts_out or event.event == "resubscribed":
        for subscription in SUBSCRIPTIONS:
            record_consent(
                connection,
                point,
                channel=event.channel,
                subscription=subscription,
                status="opt_out" if event.opts_out else "opt_in",
                consented_at=event.occurred_at,
                origin=origin,
                recorded_at=now,
            )


def _replaced(event: Event, **changes: Any) -> Event:
    from dataclasses import replace

    return replace(event, **changes)
