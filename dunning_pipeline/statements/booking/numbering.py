"""Gives statements their numbers: gapless per series and year, in the transaction that closes them."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from dunning_pipeline.ledger.bulk import insert_unless_there
from dunning_pipeline.ledger.schema import number_series
from dunning_pipeline.settings.company import Company


def next_numbers(connection: Connection, company: Company, *, kind: str, year: int, count: int) -> Sequence[str]:
    """The next `count` numbers of a series ("dunning" or "account" of a year); given back by a rollback.

    The series' row stays locked until the transaction ends: whoever closes at the same time waits, nobody skips.
    """
    series = f"{kind}:{year}"
    n = number_series.c
    raised = connection.execute(
        update(number_series).where(n.series == series).values(last_number=n.last_number + count)
    ).rowcount
    if not raised:
        # two transactions that begin the series at once agree on one row
        insert_unless_there(connection, number_series, [{"series": series, "last_number": 0}])
        connection.execute(update(number_series).where(n.series == series).values(last_number=n.last_number + count))
    last = connection.scalar(select(n.last_number).where(n.series == series))
    assert last is not None
    pattern = getattr(company.number_series, kind)
    return [pattern.format(year=year, n=number) for number in range(last - count + 1, last + 1)]
