-- Accounts with an overdue item and a promise whose date has not come yet: leave them in peace.
-- Owner: collections. Grain: one row per unified_account_id.
with

members as (

    select distinct unified_account_id
    from {{ ref('unified_open_items') }}
    where days_overdue > 0 and is_promised

)

select * from members
