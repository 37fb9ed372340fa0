-- The items of the statements that are really proposed: those whose credits do not cover what would be listed.
-- Grain: one row per item and draft_key.
with

credited as (

    select draft_key, sum(amount) as amount
    from {{ ref('draft_credits') }}
    group by draft_key

)

select items.*, coalesce(credited.amount, 0) as draft_credit
from {{ ref('listed_items') }} as items
left join credited on credited.draft_key = items.draft_key
where items.draft_principal > coalesce(credited.amount, 0)
