-- Accounts that owe a lot: overdue items of 10,000 or more in the reporting currency together.
-- Owner: collections. Grain: one row per unified_account_id.
with

overdue as (

    select unified_account_id, sum(overdue_amount_reporting) as overdue_amount
    from {{ ref('unified_positions') }}
    group by unified_account_id

),

members as (

    select unified_account_id
    from overdue
    where overdue_amount >= {{ var('high_value_amount', 10000) }}

)

select * from members
