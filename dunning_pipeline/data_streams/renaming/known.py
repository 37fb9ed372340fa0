"""What the ledger knows by key and no source delivers under that key any more: who may have another name now.

All statements run in the warehouse, over `ops` (the ledger of this moment), `mapped` (what the sources say now) and
`data_model` (what they said at the last build, where it is there). Tables are temporary and begin with `renaming_`.
"""

# ruff: noqa: E501  (statements of SQL stay readable in one piece)

import duckdb

from dunning_pipeline.ledger.naming import QUESTION
from dunning_pipeline.sql_models.shapes import table_exists

# What people or reminders are about. The process that a bill group got by itself is nothing that could be lost.
_ACCOUNTS = f"""
    select account_key from ops.statements where status <> 'deleted'
    union select account_key from ops.promises
    union select account_key from ops.sends
    union select account_key from ops.assignments where origin = 'manual'
    union select target_key from ops.blocks where scope = 'account' and not starts_with(block_id, '{QUESTION}')
"""
_GROUPS = f"""
    select bill_group_key from ops.statements where status <> 'deleted' and bill_group_key <> account_key
    union select bill_group_key from ops.assignments where origin = 'manual' and bill_group_key <> account_key
    union select target_key from ops.blocks where scope = 'bill_group' and not starts_with(block_id, '{QUESTION}')
"""
_INVOICES = f"""
    select invoice_key from ops.promises where invoice_key is not null
    union select invoice_key from ops.postponements
    union select target_key from ops.blocks where scope = 'invoice' and not starts_with(block_id, '{QUESTION}')
"""
OBJECTS = {"account": "accounts", "bill_group": "bill_groups", "invoice": "invoices"}


def some_are_gone(con: duckdb.DuckDBPyConnection) -> bool:
    """Make `renaming_gone_<kind>` and `renaming_reused` (key): what is gone, and invoice keys that mean another one now.

    Where there are any, also `renaming_mentioned_<kind>`, `renaming_said_<kind>` (what was decided about already) and
    `renaming_asked` (what a person is asked about).
    """
    for kind, mentioned in (("account", _ACCOUNTS), ("bill_group", _GROUPS)):
        con.execute(f"create or replace temp table renaming_mentioned_{kind} (key) as {mentioned}")
        con.execute(f"""
            create or replace temp table renaming_gone_{kind} as
            select key from renaming_mentioned_{kind}
            where key not in (select {kind}_key from mapped.{OBJECTS[kind]} where {kind}_key is not null)
                {
            "and key not in (select account_key from mapped.accounts where account_key is not null)"
            if kind == "bill_group"
            else ""
        }
        """)
    # the number is what the law knows an invoice by: an id that means one of another number now says nothing
    con.execute("""
        create or replace temp table renaming_lines as
        select lines.invoice_key as key, bool_and(now.invoice_key is null) as is_gone
        from ops.statement_details as lines
        left join mapped.invoices as now on now.invoice_key = lines.invoice_key
        where lines.type = 'invoice'
            and (now.invoice_key is null or lines.invoice_number <> trim(now.invoice_number))
        group by lines.invoice_key
    """)
    con.execute(f"""
        create or replace temp table renaming_gone_invoice as
        select key from renaming_lines where is_gone
        union
        select invoice_key from ({_INVOICES})
        where invoice_key not in (select invoice_key from mapped.invoices where invoice_key is not null)
    """)
    con.execute("create or replace temp table renaming_reused as select key from renaming_lines where not is_gone")
    tables = [f"renaming_gone_{kind}" for kind in OBJECTS] + ["renaming_reused"]
    counted = " + ".join(f"(select count(*) from {table})" for table in tables)
    if not con.execute(f"select {counted}").fetchall()[0][0]:
        return False
    con.execute(f"""
        create or replace temp table renaming_mentioned_invoice (key) as
        select invoice_key from ops.statement_details where type = 'invoice' union {_INVOICES}
    """)
    for kind in OBJECTS:
        con.execute(f"""
            create or replace temp table renaming_said_{kind} (key) as
            select new_key from ops.renamed_keys where kind = '{kind}'
            union select old_key from ops.renamed_keys where kind = '{kind}'
        """)
    con.execute(f"""
        create or replace temp table renaming_asked as
        select scope as kind, target_key as key
        from ops.blocks
        where starts_with(block_id, '{QUESTION}') and ended_at is null
    """)
    return True


def describe_gone(con: duckdb.DuckDBPyConnection) -> None:
    """Make `renaming_known`: the invoices that are gone, reused, or of a gone account, as the ledger or the last build
    described them (several rows where they differ); and `renaming_alike`: accounts called as one that is gone."""
    con.execute("""
        create or replace temp table renaming_known as
        select lines.invoice_key, lines.invoice_number, coalesce(statements.legal_entity, '') as entity,
            statements.currency, statements.account_key, statements.bill_group_key, statements.dunning_date as seen_on,
            cast(null as date) as invoice_date,
            cast(lines.original_minor * currencies.e4_per_minor * cast(0.0001 as decimal(4, 4)) as decimal(19, 4)) as amount
        from ops.statement_details as lines
        inner join ops.statements as statements on statements.statement_id = lines.statement_id
        inner join policy.currencies as currencies on currencies.currency = statements.currency
        where lines.type = 'invoice' and statements.status <> 'deleted' and (
            lines.invoice_key in (from renaming_gone_invoice) or lines.invoice_key in (from renaming_reused)
            or statements.account_key in (from renaming_gone_account)
            or statements.bill_group_key in (from renaming_gone_bill_group))
    """)
    if table_exists(con, "data_model", "invoices"):
        con.execute("""
            insert into renaming_known
            select invoice_key, invoice_number, coalesce(legal_entity, ''), currency, account_key,
                coalesce(bill_group_key, account_key), null, invoice_date, total_amount
            from data_model.invoices
            where invoice_key in (from renaming_gone_invoice) or account_key in (from renaming_gone_account)
                or bill_group_key in (from renaming_gone_bill_group)
        """)
    _find_alike(con)


def _find_alike(con: duckdb.DuckDBPyConnection) -> None:
    """By name, without case, accents and signs, or by an identifier: another customer may have an invoice of the same
    number, too."""
    plain = "regexp_replace(lower(strip_accents({}.name)), '[^[:alnum:]]', '', 'g')"
    before = (
        "select account_key, account_name as name, null as vat_id, null as tax_id, null as email from ops.statements"
    )
    if table_exists(con, "data_model", "accounts"):
        before += " union select account_key, name, vat_id, tax_id, email from data_model.accounts"
    same = [f"{plain.format('now')} = {plain.format('old')}"]
    same += [f"nullif(trim(now.{name}), '') = old.{name}" for name in ("vat_id", "tax_id", "email")]
    con.execute("create or replace temp table renaming_alike (new_key varchar, old_key varchar)")
    for condition in same:  # one by one: `or` would compare every two accounts
        con.execute(f"""
            insert into renaming_alike
            select distinct now.account_key, old.account_key
            from ({before}) as old
            inner join mapped.accounts as now on {condition}
            where old.account_key in (from renaming_gone_account)
                and now.account_key not in (from renaming_mentioned_account)
        """)
