-- Credits shown on each proposed statement: those of its unit, highest level first, never one cent twice.
-- Grain: one row per draft_key and credit. Amounts positive, major units.
with

drafts as (

    select
        draft_key, process_hash, account_key, unit_key, entity, currency, draft_level, draft_principal,
        any_value(unit_credit) as unit_credit,
        min(effective_due_date) as oldest_due_date
    from {{ ref('listed_items') }}
    where netting = 'show' and unit_credit > 0
    group by draft_key, process_hash, account_key, unit_key, entity, currency, draft_level, draft_principal

),

shared as (

    select
        *,
        greatest(0, least(draft_principal, unit_credit - coalesce(sum(draft_principal) over (
            partition by process_hash, unit_key, entity, currency
            order by draft_level desc, draft_key rows between unbounded preceding and 1 preceding
        ), 0))) as credit
    from drafts

),

placed as (

    select
        *,
        sum(credit) over (
            partition by account_key, entity, currency order by oldest_due_date, unit_key, draft_level desc, draft_key
            rows between unbounded preceding and current row
        ) as credit_to
    from shared
    where credit > 0

),

credits as (

    select
        *,
        sum(amount) over (
            partition by account_key, entity, currency order by booked_on, reference, credit_key
            rows between unbounded preceding and current row
        ) as amount_to
    from {{ ref('open_credits') }}

)

select
    placed.draft_key, credits.credit_key, credits.kind, credits.reference, credits.booked_on,
    cast(least(placed.credit_to, credits.amount_to)
        - greatest(placed.credit_to - placed.credit, credits.amount_to - credits.amount) as decimal(19, 4)) as amount
from placed
inner join credits
    on credits.account_key = placed.account_key
    and credits.entity = placed.entity
    and credits.currency = placed.currency
where least(placed.credit_to, credits.amount_to)
    > greatest(placed.credit_to - placed.credit, credits.amount_to - credits.amount)
