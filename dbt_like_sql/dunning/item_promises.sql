-- Promises to pay as of the dunning date, from the ledger and from the sources' schedules of that type.
-- Grain: one row per invoice_key (account-wide promises under the account's open invoices).
with

recorded as (

    select account_key, invoice_key, promised_for, promised_on
    from {{ source('ops', 'promises') }}
    where promised_on <= {{ run_date() }}
        and (withdrawn_at is null or cast(withdrawn_at as date) > {{ run_date() }})

),

agreed as (

    select
        schedules.account_key,
        coalesce(items.invoice_key, schedules.invoice_key) as invoice_key,
        items.due_date as promised_for,
        coalesce(schedules.created_on, items.due_date) as promised_on
    from {{ ref('payment_schedule_items') }} as items
    inner join {{ ref('payment_schedules') }} as schedules on schedules.schedule_key = items.schedule_key
    where schedules.schedule_type = 'promise'
        and (schedules.created_on is null or schedules.created_on <= {{ run_date() }})
        and items.due_date is not null
        and coalesce(lower(items.status), 'active') not in ('cancelled', 'canceled', 'draft', 'voided')

),

promises as (

    select * from recorded
    union all
    select * from agreed

),

per_invoice as (

    select invoice_key, promised_for, promised_on
    from promises
    where invoice_key is not null

    union all

    select items.invoice_key, promises.promised_for, promises.promised_on
    from promises
    inner join {{ ref('items') }} as items on items.account_key = promises.account_key
    where promises.invoice_key is null and items.open_amount > 0 and items.instalment = 1

)

select
    invoice_key,
    max(promised_for) as promised_until,
    count(*) as promise_count,
    max(promised_for) >= {{ run_date() }} as is_promised
from per_invoice
group by invoice_key
