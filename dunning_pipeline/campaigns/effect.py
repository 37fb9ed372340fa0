"""What a campaign did: outcomes and deliveries per occurrence, and whether it made accounts pay more."""

from collections import Counter
from math import sqrt
from typing import Any

import duckdb
from sqlalchemy import select

from dunning_pipeline.campaigns.declaration import find_campaign
from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.schema import campaign_occurrences, sends
from dunning_pipeline.settings.workspace import Workspace

Z = 1.959964  # two-sided 95 %


def report_of(ws: Workspace, name: str) -> dict[str, Any]:
    """Occurrences with their counts, sends by status and delivery, and the effect against the control group; of a
    campaign whose file is gone, too. Raises NotThere for one that never was.

    The effect is read from the published model reports.campaign_effect: it is as fresh as the last build.
    """
    c = campaign_occurrences.c
    with reading(open_ledger(ws)) as connection:
        rows = connection.execute(select(campaign_occurrences).where(c.campaign == name).order_by(c.planned_for)).all()
        told = connection.execute(
            select(sends.c.occurrence, sends.c.status, sends.c.delivery).where(sends.c.campaign == name)
        ).all()
    if not rows and not told:
        find_campaign(ws, name)  # says what is wrong; what was done stays known when its file is gone or broken
    by_occurrence: dict[str | None, Counter[str]] = {}
    for occurrence, status, delivery in told:
        by_occurrence.setdefault(occurrence, Counter())[f"{status}, {delivery}" if delivery else status] += 1
    return {
        "campaign": name,
        "occurrences": [
            {
                "occurrence": row.occurrence,
                "status": row.status,
                "audience": row.audience,
                "held_out": row.held_out,
                "counts": row.counts,
                "sends": dict(by_occurrence.get(row.occurrence, {})),
            }
            for row in rows
        ],
        "effect": _effect(ws, name),
    }


def _effect(ws: Workspace, name: str) -> dict[str, Any] | None:
    """Accounts that paid within 14 days of the first occurrence that they were in, in both groups; None before there is
    anything to compare. In the first are all who were not held out: whom the message could not reach as well, because
    those who are held out were not tried."""
    from dunning_pipeline.sql_models.reading import read_query

    query = (
        "select is_held_out, cast(sum(new_members) as bigint) as members, "
        "cast(sum(new_paid_within_14_days) as bigint) as paid "
        "from reports.campaign_effect where campaign = ? group by is_held_out having sum(new_members) > 0"
    )
    try:
        rows = {bool(row["is_held_out"]): (row["members"], row["paid"]) for row in read_query(ws, query, [name]).rows()}
    except NotThere:
        return None
    except (duckdb.BinderException, duckdb.CatalogException):  # an older snapshot or an older model, or a broken one
        return {"says": "the model reports.campaign_effect is not the product's: take its file over, then build"}
    treated, control = rows.get(False), rows.get(True)
    if treated is None:
        return None
    found: dict[str, Any] = {"written_to": {"accounts": treated[0], "paid": treated[1]}}
    if control is not None:
        found["held_out"] = {"accounts": control[0], "paid": control[1]}
        low, high = difference_interval(treated[1], treated[0], control[1], control[0])
        share = treated[1] / treated[0] - control[1] / control[0]
        found["difference"] = {"points": round(100 * share, 1), "from": round(100 * low, 1), "to": round(100 * high, 1)}
        found["says"] = "an effect" if low > 0 or high < 0 else "no effect can be told from chance yet"
    return found


def difference_interval(hits: int, of: int, other_hits: int, of_other: int) -> tuple[float, float]:
    """95 % interval of the difference of two shares (Newcombe's method 10, from two Wilson intervals)."""
    share, other = hits / of, other_hits / of_other
    low, high = wilson(hits, of)
    other_low, other_high = wilson(other_hits, of_other)
    difference = share - other
    down = sqrt((share - low) ** 2 + (other_high - other) ** 2)
    up = sqrt((high - share) ** 2 + (other - other_low) ** 2)
    return difference - down, difference + up


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % Wilson interval of a share; good for small groups too."""
    share = hits / of
    middle = (share + Z**2 / (2 * of)) / (1 + Z**2 / of)
    spread = Z * sqrt(share * (1 - share) / of + Z**2 / (4 * of**2)) / (1 + Z**2 / of)
    return max(0.0, middle - spread), min(1.0, middle + spread)
