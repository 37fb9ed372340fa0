-- Accounts that suddenly pay late: three items overdue that fell due since the quarter began.
-- Owner: collections. Grain: one row per unified_account_id.
with

overdue_this_quarter as (

    select unified_account_id, invoice_key
    from {{ ref('unified_open_items') }}
    where days_overdue > 0 and effective_due_date >= date_trunc('quarter', {{ run_date() }})

),

members as (

    select unified_account_id
    from overdue_this_quarter
    group by unified_account_id
    having count(invoice_key) >= 3

)

select * from members
