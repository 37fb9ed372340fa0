"""Recorded yes and no of contact points, per channel and subscription: append-only, the newest counts."""

from collections.abc import Iterable
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, select

from dunning_pipeline.ledger.schema import consents

# at the same instant a no is stronger than a yes
_STRENGTH = {"opt_in": 0, "opt_out": 1}


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
    known = connection.execute(
        select(consents.c.consented_at, consents.c.status)
        .where(
            consents.c.contact_point == point,
            consents.c.channel == channel,
            consents.c.subscription == subscription,
        )
        .order_by(consents.c.consented_at.desc())
    ).all()
    ranks = [(row.consented_at, _STRENGTH[row.status]) for row in known]
    if ranks and (consented_at, _STRENGTH[status]) <= max(ranks):
        return False
    connection.execute(
        consents.insert().values(
            consent_id=uuid4().hex,
            contact_point=point,
            channel=channel,
            subscription=subscription,
            status=status,
            consented_at=consented_at,
            origin=origin,
            recorded_at=recorded_at,
        )
    )
    return True


def consents_of(connection: Connection, points: Iterable[str], *, channel: str) -> dict[tuple[str, str], str]:
    """(contact point, subscription) → opt_in or opt_out, the newest; at the same instant opt_out."""
    rows = connection.execute(
        select(consents.c.contact_point, consents.c.subscription, consents.c.consented_at, consents.c.status).where(
            consents.c.contact_point.in_(list(points)), consents.c.channel == channel
        )
    )
    newest: dict[tuple[str, str], tuple[datetime, int, str]] = {}
    for point, subscription, at, status in rows:
        rank = (at, _STRENGTH[status], status)
        if rank > newest.get((point, subscription), (datetime.min.replace(tzinfo=at.tzinfo), -1, "")):
            newest[point, subscription] = rank
    return {key: rank[2] for key, rank in newest.items()}
