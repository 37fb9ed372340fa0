-- Accounts with an overdue item whose open collection plan in the CRM says high risk.
-- Owner: collections. Grain: one row per unified_account_id.
with

risky as (

    select distinct account_key
    from {{ ref('collection_plans') }}
    where lower(risk) = 'high'
        and lower(coalesce(status, 'open')) not in ('closed', 'completed', 'cancelled', 'canceled', 'resolved')
        and (created_on is null or created_on <= {{ run_date() }})

),

members as (

    select distinct items.unified_account_id
    from {{ ref('unified_open_items') }} as items
    inner join risky on risky.account_key = items.account_key
    where items.days_overdue > 0

)

select * from members
