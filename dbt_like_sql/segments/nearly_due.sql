-- Accounts with nothing overdue and an item that falls due within the next days: a friendly word beforehand.
-- Owner: collections. Grain: one row per unified_account_id.
with

items as (

    select unified_account_id, max(days_overdue) as latest_days_overdue
    from {{ ref('unified_open_items') }}
    group by unified_account_id

),

members as (

    select unified_account_id
    from items
    where latest_days_overdue between -{{ var('near_due_days', 7) }} and 0

)

select * from members
