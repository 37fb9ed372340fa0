-- How much each unified account owes in each currency, and how late it is.
-- Grain: one row per unified_account_id and currency. Owner: collections.
with

items as (

    select *
    from {{ ref('unified_open_items') }}

),

positions as (

    select
        unified_account_id,
        currency,
        count(*) as open_items,
        cast(sum(open_amount) as decimal(19, 4)) as open_amount,
        count(*) filter (where days_overdue > 0) as overdue_items,
        cast(coalesce(sum(open_amount) filter (where days_overdue > 0), 0) as decimal(19, 4)) as overdue_amount,
        cast(coalesce(sum(open_amount_reporting) filter (where days_overdue > 0), 0) as decimal(19, 4))
            as overdue_amount_reporting,
        max(days_overdue) as oldest_days_overdue,
        min(effective_due_date) as oldest_due_date
    from items
    group by unified_account_id, currency

)

select * from positions
