-- Accounts that dispute an overdue item: a person answers them first.
-- Owner: customer-service. Grain: one row per unified_account_id.
with

members as (

    select distinct unified_account_id
    from {{ ref('unified_open_items') }}
    where days_overdue > 0 and is_disputed

)

select * from members
