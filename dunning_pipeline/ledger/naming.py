"""Names of records that their sources call something else now: their keys stay, and what is unclear asks a person."""

from typing import Any

from sqlalchemy import Select, and_, or_, select

from dunning_pipeline.ledger.schema import blocks, renamed_keys

QUESTION = "renamed:"  # how the ids of the pauses begin that ask a person
FORMER = "known as {} before? "  # and their reasons
FINDING = "renamed_unclear"
ASKED = and_(blocks.c.block_id.startswith(QUESTION), blocks.c.ended_at.is_(None))  # the pauses that still ask


def keys_named(kind: str, text: str) -> Select[Any]:
    """The keys of what a source calls by this key or id now and called something else before."""
    r = renamed_keys.c
    return select(r.old_key).where(r.kind == kind, or_(r.new_key == text, r.new_key.like(f"%:{text}")))
