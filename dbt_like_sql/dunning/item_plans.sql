-- The collection plan that an invoice stands in as of the dunning date; of several the newest.
-- Grain: one row per invoice_key.
with

plans as (

    select *
    from {{ ref('collection_plans') }}
    where (created_on is null or created_on <= {{ run_date() }})
        and coalesce(lower(status), 'active')
            not in ('completed', 'cancelled', 'canceled', 'closed', 'resolved', 'draft', 'inactive', 'expired')

)

select items.invoice_key, plans.plan_key, plans.plan_due_date, plans.risk
from {{ ref('collection_plan_items') }} as items
inner join plans on plans.plan_key = items.plan_key
where items.invoice_key is not null
qualify row_number() over (
    partition by items.invoice_key order by plans.created_on desc nulls last, plans.plan_key desc
) = 1
