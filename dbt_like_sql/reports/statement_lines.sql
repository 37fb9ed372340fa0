-- Lines of the statements that were closed by the business date, in major units.
-- Grain: one row per statement_id and position. Owner: collections.
with

closed as (

    select statement_id, number, kind, dunning_date, account_key, bill_group_key, process, level, currency
    from {{ source('ops', 'statements') }}
    where status in ('closed', 'superseded') and dunning_date <= {{ run_date() }}

),

lines as (

    select
        details.statement_id, details.position, closed.number, closed.kind, closed.dunning_date, closed.account_key,
        closed.bill_group_key, closed.process, closed.level as statement_level, details.type, details.invoice_key,
        details.instalment, details.level, closed.currency,
        {{ from_minor('details.open_minor', 'closed.currency') }} as open_amount,
        {{ from_minor('details.amount_minor', 'closed.currency') }} as amount
    from {{ source('ops', 'statement_details') }} as details
    inner join closed on closed.statement_id = details.statement_id

)

select * from lines
