"""What a decision is asked for: everything, one process, some levels, an account, an invoice, a segment."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Scope:
    """Empty means everything. `account` and `invoice` are keys, ids of the source or numbers.

    `levels` filters what is proposed; together with `invoice` it forces that level.
    """

    process: str | None = None
    levels: tuple[int, ...] = ()
    account: str | None = None
    invoice: str | None = None
    segment: str | None = None
    kind: Literal["dunning", "account"] = "dunning"
