-- Open principal by age as of the business date: what is owed, and how late it is.
-- Grain: one row per currency and bucket; from_days and to_days are null for what is not yet due. Owner: finance.
with

buckets as (

    select cast(null as integer) as from_days, cast(null as integer) as to_days
    union all
    select 1, 15
    union all
    select 16, 30
    union all
    select 31, 60
    union all
    select 61, null

),

items as (

    select currency, days_overdue, open_amount
    from {{ ref('open_items') }}

),

currencies as (

    select distinct currency
    from items

),

ageing as (

    select
        currencies.currency,
        buckets.from_days,
        buckets.to_days,
        count(items.open_amount) as items,
        cast(coalesce(sum(items.open_amount), 0) as decimal(19, 4)) as amount
    from currencies
    cross join buckets
    left join items
        on items.currency = currencies.currency
        and (
            (buckets.from_days is null and items.days_overdue <= 0)
            or items.days_overdue between buckets.from_days and coalesce(buckets.to_days, 1000000)
        )
    group by currencies.currency, buckets.from_days, buckets.to_days

)

select * from ageing
order by currency, from_days nulls first
