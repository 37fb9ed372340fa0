-- The instalments into which an invoice was split by the dunning date; a part that no instalment covers is one more.
-- Grain: one row per invoice and instalment (ordinal by due date).
with

schedules as (

    select schedule_key, invoice_key
    from {{ ref('payment_schedules') }}
    where schedule_type = 'instalment'
        and coalesce(lower(status), 'active') not in ('cancelled', 'canceled', 'draft', 'voided')
        and (created_on is null or created_on <= {{ run_date() }})

),

agreed as (

    select
        coalesce(items.invoice_key, schedules.invoice_key) as invoice_key,
        items.schedule_item_key,
        items.due_date,
        items.amount
    from {{ ref('payment_schedule_items') }} as items
    inner join schedules on schedules.schedule_key = items.schedule_key
    where items.amount > 0
        and items.due_date is not null
        and coalesce(lower(items.status), 'active') not in ('cancelled', 'canceled', 'draft', 'voided')

),

sums as (

    select invoice_key, sum(amount) as amount
    from agreed
    where invoice_key is not null
    group by invoice_key

),

remainders as (

    select
        invoices.invoice_key,
        cast(null as varchar) as schedule_item_key,
        invoices.due_date,
        invoices.total_amount + coalesce(invoices.adjustment_amount, 0) - sums.amount as amount
    from {{ ref('invoices') }} as invoices
    inner join sums on sums.invoice_key = invoices.invoice_key
    where invoices.total_amount + coalesce(invoices.adjustment_amount, 0) > sums.amount

),

parts as (

    select * from agreed where invoice_key is not null
    union all
    select * from remainders

)

select
    invoice_key,
    row_number() over (partition by invoice_key order by due_date, schedule_item_key nulls last) as instalment,
    schedule_item_key,
    due_date,
    cast(amount as decimal(19, 4)) as amount
from parts
