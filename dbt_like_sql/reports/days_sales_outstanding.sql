-- Days sales outstanding: open principal at each month end, in days of the sales of the three months before.
-- Grain: one row per month end and currency, the last twelve. Owner: finance.
with

months as (

    select cast(last_day(cast({{ run_date() }} as date) - cast(31 * n as integer)) as date) as month_end
    from (select unnest(range(1, 13)) as n)

),

month_ends as (

    select distinct month_end
    from months

),

billed as (

    select
        invoice_key,
        currency,
        invoice_date,
        total_amount + coalesce(adjustment_amount, 0) - coalesce(written_off_amount, 0) as amount
    from {{ ref('invoices') }}
    where status = 'posted'

),

movements as (

    select currency, invoice_date as day, amount, amount as sales
    from billed

    union all

    select billed.currency, clearings.booked_on as day, -clearings.amount as amount, 0 as sales
    from {{ ref('invoice_clearings') }} as clearings
    inner join billed on billed.invoice_key = clearings.invoice_key

),

balances as (

    select
        month_ends.month_end,
        movements.currency,
        cast(sum(movements.amount) as decimal(19, 4)) as open_amount,
        cast(coalesce(sum(movements.sales) filter (where movements.day > month_ends.month_end - 90), 0)
            as decimal(19, 4)) as sales_90_days
    from month_ends
    inner join movements on movements.day <= month_ends.month_end
    group by month_ends.month_end, movements.currency

),

outstanding as (

    select
        *,
        round(90 * open_amount / nullif(sales_90_days, 0), 1) as days_sales_outstanding
    from balances

)

select * from outstanding
order by month_end, currency
