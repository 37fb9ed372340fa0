"""Addresses and numbers that nobody may write to: hard bounces, complaints, invalid ones, and by hand."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, bindparam, select, update

from dunning_pipeline.delivery.permission.contact_points import normal
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.schema import suppressions

PERSONAL = frozenset(("complaint", "stop_word"))  # reasons that are somebody's no; all others are about the address


def suppress(
    connection: Connection, contact_point: str, *, channel: str, reason: str, origin: str, at: datetime
) -> bool:
    """Never write to this address or number again; False where it is suppressed already."""
    point = normal(contact_point, channel)
    known = connection.scalar(
        select(suppressions.c.suppression_id).where(
            suppressions.c.contact_point == point,
            suppressions.c.channel == channel,
            suppressions.c.lifted_at.is_(None),
        )
    )
    if known:
        return False
    connection.execute(
        suppressions.insert().values(
            suppression_id=uuid4().hex,
            contact_point=point,
            channel=channel,
            reason=reason,
            origin=origin,
            created_at=at,
        )
    )
    return True


def lift(
    connection: Connection,
    contact_point: str,
    *,
    channel: str,
    actor: str,
    at: datetime,
    reasons: Collection[str] | None = None,
) -> bool:
    """Allow writing again, by a person; False where nothing was suppressed (for one of `reasons`, where they are
    given)."""
    point = normal(contact_point, channel)
    wanted = [
        suppressions.c.contact_point == point,
        suppressions.c.channel == channel,
        suppressions.c.lifted_at.is_(None),
    ]
    if reasons is not None:
        wanted.append(suppressions.c.reason.in_(reasons))
    changed = connection.execute(update(suppressions).where(*wanted).values(lifted_at=at, lifted_by=actor)).rowcount
    if changed:
        audit.record(
            connection, actor=actor, action="suppression.lift", object_kind="contact_point", object_id=point, at=at
        )
    return bool(changed)


def suppressed(connection: Connection, points: Iterable[str], *, channel: str) -> dict[str, str]:
    """Which of these normal contact points are suppressed on the channel, and why."""
    rows = connection.execute(_SUPPRESSED, {"points": list(points), "channel": channel})
    return dict(rows.tuples().all())


_SUPPRESSED = select(suppressions.c.contact_point, suppressions.c.reason).where(
    suppressions.c.contact_point.in_(bindparam("points", expanding=True)),
    suppressions.c.channel == bindparam("channel"),
    suppressions.c.lifted_at.is_(None),
)
