-- The ageing list: one line per billing account, legal entity and currency, as accountants read it.
-- Grain: one row per account_key, legal_entity and currency. Owner: finance.
with

items as (

    select account_key, legal_entity, currency, days_overdue, open_amount
    from {{ ref('open_items') }}

),

ageing as (

    select
        items.account_key,
        accounts.name as account_name,
        items.legal_entity,
        items.currency,
        cast(sum(items.open_amount) as decimal(19, 4)) as open_amount,
        cast(coalesce(sum(items.open_amount) filter (where days_overdue <= 0), 0) as decimal(19, 4)) as not_yet_due,
        cast(coalesce(sum(items.open_amount) filter (where days_overdue between 1 and 30), 0) as decimal(19, 4))
            as overdue_1_30,
        cast(coalesce(sum(items.open_amount) filter (where days_overdue between 31 and 60), 0) as decimal(19, 4))
            as overdue_31_60,
        cast(coalesce(sum(items.open_amount) filter (where days_overdue between 61 and 90), 0) as decimal(19, 4))
            as overdue_61_90,
        cast(coalesce(sum(items.open_amount) filter (where days_overdue > 90), 0) as decimal(19, 4)) as overdue_over_90,
        greatest(max(items.days_overdue), 0) as oldest_days_overdue
    from items
    left join {{ ref('accounts') }} as accounts on accounts.account_key = items.account_key
    group by items.account_key, accounts.name, items.legal_entity, items.currency

)

select * from ageing
