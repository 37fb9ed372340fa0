"""Finds the new names of what is gone: certain where one fits one and all agrees, else a question for a person."""

# ruff: noqa: E501  (statements of SQL stay readable in one piece)

from dataclasses import dataclass, field

import duckdb

from dunning_pipeline.data_streams.renaming.known import OBJECTS, describe_gone, some_are_gone
from dunning_pipeline.sql_models.shapes import table_exists

# What an account is like, beside its name; one of them at least must be there, and none may differ.
_LIKE = ("account_number", "tax_id", "vat_id", "email", "phone", "street", "postal_code", "city", "country")


@dataclass(frozen=True)
class Question:
    """Something that is held until a person says what it is; `other` is the key that it may have had."""

    kind: str
    key: str
    other: str
    why: str
    is_reused: bool = False  # it is certainly none of what the ledger has under its key, but that key is taken


@dataclass(frozen=True)
class Found:
    renamed: list[tuple[str, str, str]] = field(default_factory=list)  # kind, new key, old key
    questions: list[Question] = field(default_factory=list)


def detect(con: duckdb.DuckDBPyConnection) -> Found:
    """Compare what the ledger knows with what the sources deliver now (`mapped`, under the keys known so far)."""
    if not some_are_gone(con):
        return Found()
    describe_gone(con)
    _invoice_candidates(con)
    renamed = _rows(con, "invoice", _CERTAIN)
    asked = [
        Question("invoice", new, old, _WHY[what].format(number=number, amount=amount, before=before), what == "reused")
        for new, old, what, number, amount, before in con.execute(_UNCLEAR).fetchall()
    ]
    con.execute(f"create or replace temp table renaming_renamed as {_CERTAIN}")
    for kind in ("account", "bill_group"):
        _candidates_by_invoices(con, kind)
        if table_exists(con, "data_model", OBJECTS[kind]):
            con.execute(_ACCOUNTS_ALIKE if kind == "account" else _GROUPS_ALIKE)
        con.execute(f"create or replace temp table renaming_pairs as {_ASKED_OR_NEW.format(kind=kind)}")
        con.execute(f"create or replace temp table renaming_renamed_{kind} as {_PAIRED[kind]}")
        renamed += _rows(con, kind, f"select * from renaming_renamed_{kind} order by all")
        asked += [
            Question(kind, new, old, f"what was {old} may be this one or another")
            for new, old in con.execute(_UNPAIRED.format(kind=kind)).fetchall()
        ]
    return Found(renamed, asked)


def _rows(con: duckdb.DuckDBPyConnection, kind: str, sql: str) -> list[tuple[str, str, str]]:
    return [(kind, new, old) for new, old in con.execute(sql).fetchall()]


def _invoice_candidates(con: duckdb.DuckDBPyConnection) -> None:
    """`renaming_candidates`: invoices that nobody knows with the number of one that is gone, or whose key is reused.

    They are the same account's, or their account may itself be the other one under a new name: it is called alike, or
    the amount is the same, too. What was issued after the old one was reminded of is another invoice, whatever its
    number. Amounts of instalments count as the invoice's.
    """
    con.execute(
        """
        create or replace temp table renaming_candidates as
        with now as (
            select invoice_key, account_key, trim(invoice_number) as invoice_number, coalesce(legal_entity, '') as entity,
                upper(trim(currency)) as currency, total_amount, invoice_date
            from mapped.invoices
            where trim(invoice_number) in (select invoice_number from renaming_known)
        ),
        parts as (
            select coalesce(items.invoice_key, schedules.invoice_key) as invoice_key, items.amount
            from mapped.payment_schedule_items as items
            inner join mapped.payment_schedules as schedules on schedules.schedule_key = items.schedule_key
            where coalesce(items.invoice_key, schedules.invoice_key) in (select invoice_key from now)
            union all
            select invoice_key, total_amount from now
        ),
        compared as (
            select now.*, known.invoice_key as old_key, known.amount as amount_before,
                known.invoice_key in (from renaming_gone_invoice) as is_gone,
                known.amount in (select amount from parts where parts.invoice_key = now.invoice_key) as is_amount,
                now.account_key = known.account_key as is_owner,
                (now.account_key, known.account_key) in (select (new_key, old_key) from renaming_alike) as is_alike
            from renaming_known as known
            inner join now
                on now.invoice_number = known.invoice_number and now.entity = known.entity
                and now.currency = known.currency
            where now.invoice_key <> known.invoice_key
                and (known.invoice_key in (from renaming_gone_invoice) or known.invoice_key in (from renaming_reused))
                and coalesce(now.invoice_date <= known.seen_on, now.invoice_date = known.invoice_date, true)
                and now.invoice_key not in (from renaming_said_invoice)
                and (now.invoice_key not in (from renaming_mentioned_invoice)
                    or now.invoice_key in (select key from renaming_asked where kind = 'invoice'))
                and (now.account_key = known.account_key or (
                    known.account_key not in (select account_key from mapped.accounts where account_key is not null)
                    and now.account_key not in (from renaming_mentioned_account)))
        )
        select invoice_key as new_key, old_key, any_value(invoice_number) as number, bool_and(is_gone) as is_gone,
            bool_or(is_amount) as is_amount, bool_or(is_amount and (is_owner or is_alike)) as is_same,
            any_value(currency) as currency, max(total_amount) as amount, max(amount_before) as amount_before
        from compared
        where is_owner or is_alike or is_amount
        group by invoice_key, old_key
        """
    )


_CERTAIN = """
    select new_key, old_key
    from renaming_candidates
    where is_gone and is_same and new_key not in (from renaming_mentioned_invoice)
    qualify count(*) over (partition by new_key) = 1 and count(*) over (partition by old_key) = 1
    order by all
"""
# a key that was reused is asked about at both ends: the old name means another invoice now
_UNCLEAR = f"""
    with unclear as (
        select * from renaming_candidates
        where (is_gone or is_same) and new_key not in (select new_key from ({_CERTAIN}))
            and old_key not in (select old_key from ({_CERTAIN}))
    )
    select new_key, old_key,
        case when not is_gone then 'moved' when is_same then 'twice' when is_amount then 'account' else 'amount' end,
        number, amount || ' ' || currency, amount_before || ' ' || currency
    from unclear
    union all
    select old_key, new_key, 'reused', number, null, null from unclear where not is_gone
    order by all
"""
_WHY = {
    "amount": "invoice {number} has another amount now: {amount}, before {before}",
    "account": "invoice {number} is of another account now",
    "twice": "invoice {number} is there more than once",
    "moved": "invoice {number} was known by the id that another invoice has now",
    "reused": "its id was that of invoice {number} before",
}


def _candidates_by_invoices(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    """`renaming_pairs`: who has the invoices now that somebody had who is gone, and is no one that the ledger knows."""
    con.execute(f"""
        create or replace temp table renaming_pairs as
        select now.{kind}_key as new_key, known.{kind}_key as old_key
        from renaming_known as known
        left join renaming_renamed as renamed on renamed.old_key = known.invoice_key
        inner join mapped.invoices as now on now.invoice_key = coalesce(renamed.new_key, known.invoice_key)
        where known.{kind}_key in (from renaming_gone_{kind}) and known.invoice_key not in (from renaming_reused)
            and now.{kind}_key in (select {kind}_key from mapped.{OBJECTS[kind]})
    """)


_ALIKE = " and ".join(
    f"nullif(trim(now.{name}), '') is not distinct from nullif(trim(old.{name}), '')" for name in _LIKE
)
_ACCOUNTS_ALIKE = f"""
    insert into renaming_pairs
    select now.account_key, old.account_key
    from data_model.accounts as old
    inner join mapped.accounts as now on trim(now.name) = old.name and {_ALIKE}
    where old.account_key in (from renaming_gone_account)
        and coalesce({", ".join(f"nullif(trim(old.{name}), '')" for name in _LIKE if name != "country")}) is not null
        and now.account_key not in (select account_key from data_model.accounts)
"""
# of the same account, under its name of before or of now
_GROUPS_ALIKE = """
    insert into renaming_pairs
    select now.bill_group_key, old.bill_group_key
    from data_model.bill_groups as old
    inner join mapped.bill_groups as now on now.name = old.name
    where old.bill_group_key in (from renaming_gone_bill_group)
        and now.bill_group_key not in (select bill_group_key from data_model.bill_groups)
        and (now.account_key = old.account_key
            or (now.account_key, old.account_key) in (select (new_key, old_key) from renaming_renamed_account))
"""
_ASKED_OR_NEW = """
    select distinct *
    from renaming_pairs
    where new_key not in (from renaming_said_{kind})
        and (new_key not in (from renaming_mentioned_{kind})
            or new_key in (select key from renaming_asked where kind = '{kind}'))
"""
_ONE_TO_ONE = """
    select new_key, old_key
    from renaming_pairs
    qualify count(*) over (partition by new_key) = 1 and count(*) over (partition by old_key) = 1
"""
_PAIRED = {
    "account": f"{_ONE_TO_ONE} and (new_key, old_key) in (select (new_key, old_key) from renaming_alike)",
    "bill_group": _ONE_TO_ONE,
}
_UNPAIRED = """
    select new_key, old_key
    from renaming_pairs
    where new_key not in (select new_key from renaming_renamed_{kind})
    order by all
"""
