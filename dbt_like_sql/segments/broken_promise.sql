-- Accounts that promised to pay by a date that has passed, and have not.
-- Owner: collections. Grain: one row per unified_account_id.
with

members as (

    select distinct unified_account_id
    from {{ ref('unified_open_items') }}
    where is_broken_promise

)

select * from members
