-- Items of statements that have been closed for this very date and not left yet, or of which nobody knows whether
-- they left: proposing them again would say the same thing twice.
-- Grain: one row per invoice_key and instalment.
with

closed as (

    select statement_id, dunning_date
    from {{ source('ops', 'statements') }}
    where kind = 'dunning' and status = 'closed' and not do_not_send

),

sends as (

    select
        statement_id,
        bool_and(status in ('failed', 'cancelled', 'superseded')) as is_over,
        bool_or(status in ('in_flight', 'unknown')) as is_under_way
    from {{ source('ops', 'sends') }}
    where statement_id is not null and kind <> 'draft'
    group by statement_id

),

counted as (

    select statement_id
    from {{ source('ops', 'item_levels') }}
    group by statement_id
    -- a level that bounced does not count: its second way to the debtor is awaited
    having count(*) filter (where event = 'reached') > count(*) filter (where event = 'revoked')

),

waiting as (

    select closed.statement_id
    from closed
    left join sends on sends.statement_id = closed.statement_id
    left join counted on counted.statement_id = closed.statement_id
    where counted.statement_id is null
        and (
            coalesce(sends.is_under_way, false)
            or (closed.dunning_date >= {{ run_date() }} and not coalesce(sends.is_over, false))
        )

)

select distinct details.invoice_key, coalesce(details.instalment, 1) as instalment
from {{ source('ops', 'statement_details') }} as details
inner join waiting on waiting.statement_id = details.statement_id
where details.type = 'invoice'
