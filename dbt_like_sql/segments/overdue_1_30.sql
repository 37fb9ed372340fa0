-- Accounts whose oldest overdue item is 1 to 30 days late.
-- Owner: collections. Grain: one row per unified_account_id.
with

oldest_overdue as (

    select unified_account_id, max(days_overdue) as oldest_days_overdue
    from {{ ref('unified_open_items') }}
    where days_overdue > 0
    group by unified_account_id

),

members as (

    select unified_account_id
    from oldest_overdue
    where oldest_days_overdue between 1 and 30

)

select * from members
