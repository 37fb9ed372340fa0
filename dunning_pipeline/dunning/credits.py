"""Sums the decision's open credits by holder: closing and the gate ask both whether they still are what was said."""

from collections.abc import Collection

import duckdb

from dunning_pipeline.money import to_minor

Holder = tuple[str, str | None, str]  # whose credits: account_key, legal entity ("" for none, None for all), currency


def credits_by_holder(
    con: duckdb.DuckDBPyConnection, table: str = "dunning.open_credits", *, accounts: Collection[str] | None = None
) -> dict[Holder, int]:
    """Credits and unapplied cash in minor units, of these accounts or of all that `table` has.

    Not the model `credit_totals`, which a workspace of an earlier version does not have.
    """
    mine = "" if accounts is None else "where account_key in (select unnest(?))"
    rows = con.execute(
        f"""
        select account_key, entity, currency, sum(amount) from {table} {mine}
        group by grouping sets ((account_key, entity, currency), (account_key, currency))
        """,
        [] if accounts is None else [list(accounts)],
    ).fetchall()
    return {(account, entity, currency): to_minor(amount, currency) for account, entity, currency, amount in rows}
