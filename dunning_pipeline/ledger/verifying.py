"""Checks that what the ledger says is consistent: sums, numbers, postings, and the database itself."""

from sqlalchemy import Connection, text

from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.guards import missing_guards
from dunning_pipeline.settings.workspace import Workspace

# Each query yields what breaks a rule of the record; an empty ledger of findings is a sound ledger.
CHECKS = {
    "the details of a statement sum to its total": """
        select s.statement_id from statements s
        where s.status <> 'deleted' and s.please_pay_minor <>
            (select coalesce(sum(d.amount_minor), 0) from statement_details d where d.statement_id = s.statement_id)
    """,
    "closed statements have a number, content and a closing time": """
        select statement_id from statements
        where status in ('closed', 'voided', 'superseded')
            and (number is null or content is null or closed_at is null)
    """,
    "numbers are gapless": """
        select series from number_series
        where last_number <> (
            select count(*) from statements
            where number is not null and kind || ':' || substr(cast(dunning_date as varchar(10)), 1, 4) = series
        )
    """,
    "each new charge of a closed statement is posted once": """
        select d.statement_id from statement_details d
        inner join statements s on s.statement_id = d.statement_id
        where s.status in ('closed', 'voided', 'superseded')
            and d.type in ('fee', 'interest', 'compensation') and d.amount_minor <> 0
            and not exists (
                select 1 from postings p
                where p.statement_id = d.statement_id and p.amount_minor = d.amount_minor and p.type = d.type
            )
    """,
    "void and superseded statements have nothing posted": """
        select s.statement_id from statements s
        inner join postings p on p.statement_id = s.statement_id and p.type in ('fee', 'interest', 'compensation')
        where s.status in ('voided', 'superseded')
            and p.amount_minor + coalesce((
                select sum(r.amount_minor) from postings r
                where r.reverses = p.posting_id and r.type in ('reversal', 'waiver')
            ), 0) <> 0
    """,
    "no charge is lowered below zero": """
        select p.posting_id from postings p
        inner join postings c on c.reverses = p.posting_id
        group by p.posting_id, p.amount_minor
        having p.amount_minor + sum(case when c.type = 'payment' then 0 else c.amount_minor end) < 0
            or p.amount_minor + sum(case when c.type = 'reversal' then 0 else c.amount_minor end) < 0
    """,
    "only drafts have a draft key": """
        select statement_id from statements where status <> 'draft' and draft_key is not null
    """,
}


def verify(ws: Workspace) -> dict[str, list[str]]:
    """Rule → ids that break it, for every rule of CHECKS and the database itself; sound where all are empty."""
    with reading(open_ledger(ws)) as connection:
        broken = {rule: [str(key) for (key,) in connection.execute(text(query))] for rule, query in CHECKS.items()}
        broken["the triggers that keep the record are there"] = missing_guards(connection)
        broken["the database file is intact"] = _integrity(connection)
    return broken


def _integrity(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    problems = [row[0] for row in connection.exec_driver_sql("pragma integrity_check") if row[0] != "ok"]
    return problems + [str(row[0]) for row in connection.exec_driver_sql("pragma foreign_key_check")]
