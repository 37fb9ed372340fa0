"""Four eyes: a statement above the company's limit is closed by a second person, after a first one asked for it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from dunning_pipeline.ledger import audit as trail
from dunning_pipeline.ledger.schema import audit
from dunning_pipeline.money import to_minor
from dunning_pipeline.settings.company import Company

_ASKED = "statement.close.asked"


def limit_above(statement: Mapping[str, Any], company: Company) -> str | None:
    """The company's limit (major units) that a statement is above; None where one person may close it."""
    limit = company.four_eyes_above.get(statement["currency"])
    if limit is None or statement["please_pay_minor"] <= to_minor(limit, statement["currency"]):
        return None
    return limit


def who_asked(connection: Connection, statement: Mapping[str, Any]) -> set[str]:
    """Who wanted this version of the draft closed."""
    asked = connection.execute(
        select(audit.c.actor, audit.c.after).where(
            audit.c.object_id == statement["statement_id"], audit.c.action == _ASKED
        )
    ).all()
    return {row.actor for row in asked if row.after == {"row_version": statement["row_version"]}}


def lacks_second_person(
    connection: Connection, statement: Mapping[str, Any], company: Company, *, actor: str, now: datetime
) -> str | None:
    """Why `actor` alone may not close this draft; None where nothing is needed or another person asked before.

    The first person's wish is recorded with the draft's version: an edit after it needs both again.
    """
    limit = limit_above(statement, company)
    if limit is None:
        return None
    same_version = who_asked(connection, statement)
    if same_version - {actor}:
        return None
    if actor not in same_version:
        trail.record(
            connection,
            actor=actor,
            action=_ASKED,
            object_kind="statement",
            object_id=statement["statement_id"],
            after={"row_version": statement["row_version"]},
            at=now,
        )
    return (
        f"it is above {limit} {statement['currency']}: recorded that {actor} wants it closed, a second person closes it"
    )
