"""One vocabulary of delivery events over all providers, and which of two states of a message is the later one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# In the order in which one replaces another, whatever order they arrive in. A bounce after "delivered" is real (the
# mailbox refused later); a complaint says most.
RANKS = {
    "processed": 1,
    "deferred": 2,
    "delivered": 3,
    "opened": 4,
    "clicked": 5,
    "blocked": 6,
    "dropped": 7,
    "bounced": 8,
    "complained": 9,
    # payments
    "processing": 1,
    "succeeded": 8,
    "declined": 6,
}
UNDELIVERED = ("bounced", "dropped", "blocked")
ARRIVED = ("delivered", "opened", "clicked", "complained")


@dataclass(frozen=True, slots=True)
class Event:
    """`event` is one of RANKS, or unsubscribed, resubscribed, and others that change no state.

    `opts_out`: the recipient said no to the provider; it may come with another event (dropped because of it).
    `suppress` is the reason for which the address is never written to again; `send_key` is None where the provider
    did not send it back.
    """

    event_id: str
    provider: str
    event: str
    occurred_at: datetime
    payload: Mapping[str, Any]
    send_key: str | None = None
    message_id: str | None = None
    address: str | None = None
    channel: str = "email"
    reason: str | None = None
    suppress: str | None = None
    opts_out: bool = False


def lower_than(event: str) -> list[str]:
    """The states that this one replaces."""
    return [name for name, rank in RANKS.items() if rank < RANKS[event]]
