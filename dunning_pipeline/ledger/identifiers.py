"""Ids of the ledger's rows: sortable by time, so that bulk inserts fill index pages one after the other."""

import secrets
import time


def new_ids(count: int) -> list[str]:
    """`count` ids of 24 hex digits: 12 of time, 6 random, 6 counting up; ascending within the call."""
    head = new_head()
    return [f"{head}{n:06x}" for n in range(count)]


def new_head() -> str:
    """The first 18 digits of ids made at this moment; the caller counts on in 6 more."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(3)}"


def new_id() -> str:
    """One id of the same form."""
    return new_ids(1)[0]
