"""Everything that happened with an account, newest first: statements, sends, holds, money and notes in one line."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from dunning_pipeline.delivery.reading import held_back_at

SHOWN = 200
Rows = Sequence[Mapping[str, Any]]


def timeline(record: Mapping[str, Rows], *, zone: ZoneInfo) -> list[dict[str, Any]]:
    """Events as at (instant), kind and row, the newest first. `record` holds the rows of each table by its name."""
    found = [_event(s["created_at"], "statement", s) for s in record["statements"]]
    found += [_event(_moment_of(s), "send", s) for s in record["sends"]]
    found += [_event(n["created_at"], "note", n) for n in record["notes"]]
    found += [_event(_instant(p["posted_on"], zone), "posting", p) for p in record["postings"]]
    found += [_event(_instant(p["payment_date"], zone), "payment", p) for p in record["payments"]]
    for kind, ends in (("blocks", "ended_at"), ("promises", "withdrawn_at"), ("postponements", "ended_at")):
        for row in record[kind]:
            found.append(_event(row["created_at"], kind, row))
            if row[ends]:
                found.append(_event(row[ends], f"{kind}_end", row))
    found += [_event(a["created_at"], "assignment", a) for a in record["assignments"]]
    return sorted(found, key=lambda event: event["at"], reverse=True)[:SHOWN]


def _moment_of(send: Mapping[str, Any]) -> datetime:
    """When it left, or was held back for good or for now; what waits stands where it was queued."""
    moment: datetime = send["sent_at"] or held_back_at(send) or send["queued_at"]
    return moment


def _event(at: datetime, kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {"at": at, "kind": kind, "row": row}


def _instant(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)
