"""Recorded yes and no of contact points, per channel and subscription: append-only, the newest counts."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, bindparam, select

from dunning_pipeline.ledger.bulk import chunks
from dunning_pipeline.ledger.schema import consents
from dunning_pipeline.settings.workspace import Workspace

# at the same instant a no is stronger than a yes
_STRENGTH = {"opt_in": 0, "opt_out": 1}


def record_many(
    connection: Connection,
    said: Iterable[tuple[str, datetime, str]],
    *,
    channel: str,
    subscription: str,
    status: str,
    recorded_at: datetime,
) -> int:
    """Write many down: (normal contact point, consented_at, origin) each; how many are news. Older ones are ignored."""
    rows = list(said)
    rank = _STRENGTH[status]
    newest = _newest(connection, {point for point, _, _ in rows}, channel=channel)
    fresh = []
    for point, at, origin in rows:
        known = newest.get((point, subscription))
        if known is not None and (at, rank) <= known[:2]:
            continue
        newest[point, subscription] = (at, rank, status)
        fresh.append(
            {
                "consent_id": uuid4().hex,
                "contact_point": point,
                "channel": channel,
                "subscription": subscription,
                "status": status,
                "consented_at": at,
                "origin": origin,
                "recorded_at": recorded_at,
            }
        )
    if fresh:
        connection.execute(consents.insert(), fresh)
    return len(fresh)


def record_consent(
    connection: Connection,
    point: str,
    *,
    channel: str,
    subscription: str,
    status: str,
    consented_at: datetime,
    origin: str,
    recorded_at: datetime,
) -> bool:
    """Write a yes or no of a normal contact point down; False where what is known is as new (opt-out wins a tie)."""
    said = [(point, consented_at, origin)]
    return bool(
        record_many(
            connection, said, channel=channel, subscription=subscription, status=status, recorded_at=recorded_at
        )
    )


def consents_of(connection: Connection, points: Iterable[str], *, channel: str) -> dict[tuple[str, str], str]:
    """(contact point, subscription) → opt_in or opt_out, the newest; at the same instant opt_out."""
    return {key: rank[2] for key, rank in _newest(connection, set(points), channel=channel).items()}


def _newest(
    connection: Connection, points: set[str], *, channel: str
) -> dict[tuple[str, str], tuple[datetime, int, str]]:
    newest: dict[tuple[str, str], tuple[datetime, int, str]] = {}
    for chunk in chunks(sorted(points), 900):
        rows = connection.execute(_SAID, {"points": chunk, "channel": channel})
        for point, subscription, at, status in rows:
            rank = (at, _STRENGTH[status], status)
            known = newest.get((point, subscription))
            if known is None or rank > known:
                newest[point, subscription] = rank
    return newest


_SAID = select(consents.c.contact_point, consents.c.subscription, consents.c.consented_at, consents.c.status).where(
    consents.c.contact_point.in_(bindparam("points", expanding=True)), consents.c.channel == bindparam("channel")
)


def import_consent_file(ws: Workspace, file: Path, declared: Any, now: datetime) -> Any:
    """Import one consent CSV as its declaration says; see consent_files.import_file."""
    from dunning_pipeline.delivery.permission.consent_files import import_file

    return import_file(
        ws,
        file,
        channel=declared.channel,
        subscription=declared.subscription,
        status=declared.status,
        now=now,
        delimiter=getattr(declared, "delimiter", ","),
        encoding=getattr(declared, "encoding", "auto"),
        date_format=getattr(declared, "date_format", None),
    )
