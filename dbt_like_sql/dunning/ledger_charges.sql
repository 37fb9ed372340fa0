-- Fees, interest and lump sums posted by the dunning date: what was billed and what of it is still unpaid.
-- Grain: one row per original posting. Minor units. Charges of statements that never left are about to be reversed
-- by the statement that replaces them, and are left out.
with

postings as (

    select *
    from {{ source('ops', 'postings') }}
    where posted_on <= {{ run_date() }}

),

charges as (

    select postings.*
    from postings
    where postings.type in ('fee', 'interest', 'compensation')

),

changes as (

    select
        reverses as posting_id,
        sum(amount_minor) as amount_minor,
        sum(case when type = 'reversal' then amount_minor else 0 end) as reversed_minor
    from postings
    where reverses is not null and type in ('reversal', 'waiver', 'payment')
    group by reverses

),

unsent as (

    select statements.statement_id
    from {{ source('ops', 'statements') }} as statements
    where statements.status = 'closed'
        and statements.kind = 'dunning'
        and not statements.do_not_send
        and statements.dunning_date < {{ run_date() }}
        and not exists (
            select 1 from {{ source('ops', 'item_levels') }} as levels
            where levels.statement_id = statements.statement_id
        )
        and not exists (
            select 1 from {{ source('ops', 'sends') }} as sends
            where sends.statement_id = statements.statement_id
                and sends.kind <> 'draft'
                and sends.status in ('in_flight', 'unknown', 'sent')
        )

)

select
    charges.posting_id, charges.type, charges.statement_id, charges.account_key, charges.bill_group_key,
    coalesce(charges.legal_entity, '') as entity, charges.invoice_key, coalesce(charges.instalment, 1) as instalment,
    charges.level, charges.currency, charges.posted_on, statements.unit_key,
    charges.amount_minor + coalesce(changes.reversed_minor, 0) as billed_minor,
    charges.amount_minor + coalesce(changes.amount_minor, 0) as unpaid_minor
from charges
left join changes on changes.posting_id = charges.posting_id
left join {{ source('ops', 'statements') }} as statements on statements.statement_id = charges.statement_id
where charges.statement_id is null or charges.statement_id not in (select statement_id from unsent)
