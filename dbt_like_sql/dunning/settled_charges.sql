-- Unpaid charges whose principal is paid, with what their process does about them: waive, claim or ignore_below.
-- Grain: one row per original posting. Minor units.
with

charges as (

    select charges.*, coalesce(processes.charges_only, 'waive') as charges_only, statements.process_hash
    from {{ ref('ledger_charges') }} as charges
    left join {{ source('ops', 'statements') }} as statements on statements.statement_id = charges.statement_id
    left join {{ source('policy', 'processes') }} as processes on processes.process_hash = statements.process_hash
    where charges.unpaid_minor > 0

),

open_items as (

    select invoice_key, instalment from {{ ref('open_items') }}

),

listed as (

    select
        details.statement_id,
        bool_or(open_items.invoice_key is not null) as has_open_item
    from {{ source('ops', 'statement_details') }} as details
    left join open_items
        on open_items.invoice_key = details.invoice_key and open_items.instalment = coalesce(details.instalment, 1)
    where details.type = 'invoice'
    group by details.statement_id

),

settled as (

    select charges.*
    from charges
    left join open_items
        on open_items.invoice_key = charges.invoice_key and open_items.instalment = charges.instalment
    left join listed on listed.statement_id = charges.statement_id
    where case when charges.invoice_key is not null then open_items.invoice_key is null
        else coalesce(not listed.has_open_item, false) end

),

summed as (

    select
        *,
        sum(unpaid_minor) over (
            partition by account_key, coalesce(bill_group_key, account_key), entity, currency
        ) as sum_minor
    from settled

)

select
    summed.*,
    case
        when summed.charges_only = 'waive' then 'waive'
        when summed.charges_only = 'ignore_below'
            and summed.sum_minor < coalesce({{ to_minor('limits.amount', 'currencies.e4_per_minor') }}, 0) then 'ignore'
        else 'claim'
    end as treatment
from summed
inner join {{ source('policy', 'currencies') }} as currencies on currencies.currency = summed.currency
left join {{ ref('thresholds') }} as limits
    on limits.process_hash = summed.process_hash
    and limits.kind = 'ignore_below'
    and limits.currency = summed.currency
