-- Accounts whose overdue items together are worth less than 50 in the reporting currency: cheap channels only.
-- Owner: collections. Grain: one row per unified_account_id.
with

overdue as (

    select unified_account_id, sum(overdue_amount_reporting) as overdue_amount, sum(overdue_items) as overdue_items
    from {{ ref('unified_positions') }}
    group by unified_account_id

),

members as (

    select unified_account_id
    from overdue
    where overdue_items > 0 and overdue_amount < {{ var('small_balance_amount', 50) }}

)

select * from members
