"""Gives statements their numbers: gapless per series and year, in the transaction that closes them."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

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
        _begin_series(connection, series)
        connection.execute(update(number_series).where(n.series == series).values(last_number=n.last_number + count))
    last = connection.scalar(select(n.last_number).where(n.series == series))
    assert last is not None
    pattern = getattr(company.number_series, kind)
    return [pattern.format(year=year, n=number) for number in range(last - count + 1, last + 1)]


def _begin_series(connection: Connection, series: str) -> None:
    """Insert the series at 0; two transactions that begin it at once agree on one row."""
    connection.exec_driver_sql(
        f"insert into number_series (series, last_number) values ('{series}', 0) on conflict do nothing"
    )
