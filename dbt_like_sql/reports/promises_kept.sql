-- Whether promises are kept: of what was promised for each month, how many items were cleared by then.
-- Grain: one row per month. Owner: collections. Promises for a date to come are counted as pending.
with

promises as (

    select promises.invoice_key, promises.promised_until, items.open_amount, items.last_cleared_on
    from {{ ref('item_promises') }} as promises
    inner join {{ ref('items') }} as items on items.invoice_key = promises.invoice_key
    where items.status = 'posted'

),

judged as (

    select
        cast(date_trunc('month', promised_until) as date) as month,
        case
            when open_amount <= 0 and last_cleared_on <= promised_until then 'kept'
            when open_amount <= 0 then 'kept_late'
            when promised_until >= {{ run_date() }} then 'pending'
            else 'broken'
        end as outcome
    from promises

),

months as (

    select
        month,
        count(*) as promises,
        count(*) filter (where outcome = 'kept') as kept,
        count(*) filter (where outcome = 'kept_late') as kept_late,
        count(*) filter (where outcome = 'pending') as pending,
        count(*) filter (where outcome = 'broken') as broken
    from judged
    group by month

)

select * from months
order by month
