-- The principal of an item on the first day of each stretch, by value dates; instalments are cleared as in items.sql.
-- Grain: one row per item and from_day. Major units.
with

stretches as (

    select distinct invoice_key, from_day from {{ ref('interest_days') }}

),

parts as (

    select invoice_key, instalment, schedule_item_key, amount
    from {{ ref('instalments') }}

    union all

    select items.invoice_key, 1, cast(null as varchar), null
    from {{ ref('items') }} as items
    where not items.is_instalment

),

cleared as (

    select
        stretches.invoice_key, stretches.from_day, clearings.schedule_item_key,
        sum(clearings.amount) as amount
    from stretches
    inner join {{ ref('invoice_clearings') }} as clearings
        on clearings.invoice_key = stretches.invoice_key and clearings.value_date < stretches.from_day
    group by stretches.invoice_key, stretches.from_day, clearings.schedule_item_key

),

invoice_open as (

    select
        stretches.invoice_key, stretches.from_day,
        any_value(invoices.total_amount + coalesce(invoices.adjustment_amount, 0)
            - coalesce(invoices.written_off_amount, 0)) - coalesce(sum(cleared.amount), 0) as amount
    from stretches
    inner join {{ ref('invoices') }} as invoices on invoices.invoice_key = stretches.invoice_key
    left join cleared on cleared.invoice_key = stretches.invoice_key and cleared.from_day = stretches.from_day
    group by stretches.invoice_key, stretches.from_day

),

remaining as (

    select
        invoice_open.invoice_key, invoice_open.from_day, parts.instalment, invoice_open.amount as invoice_open,
        greatest(coalesce(parts.amount, invoice_open.amount) - coalesce(cleared.amount, 0), 0) as amount
    from invoice_open
    inner join parts on parts.invoice_key = invoice_open.invoice_key
    left join cleared
        on cleared.invoice_key = invoice_open.invoice_key
        and cleared.from_day = invoice_open.from_day
        and cleared.schedule_item_key = parts.schedule_item_key

),

running as (

    select
        *,
        sum(amount) over (partition by invoice_key, from_day) as in_all,
        sum(amount) over (
            partition by invoice_key, from_day order by instalment rows between unbounded preceding and current row
        ) as so_far
    from remaining

)

select
    invoice_key, instalment, from_day,
    greatest(0, least(amount, so_far - (in_all - invoice_open))) as principal
from running
