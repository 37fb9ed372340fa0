-- Promises to pay as of the dunning date, from the ledger and from the sources' schedules of that type.
-- Grain: one row per invoice_key (account-wide promises under the account's open invoices).
with

recorded as (

    select promise_id as promise, account_key, invoice_key, promised_for
    from {{ source('ops', 'promises') }}
    where promised_on <= {{ run_date() }}
        and (withdrawn_at is null or cast(withdrawn_at as date) > {{ run_date() }})

),

agreed as (

    select
        schedules.schedule_key as promise,
        schedules.account_key,
        coalesce(items.invoice_key, schedules.invoice_key) as invoice_key,
        items.due_date as promised_for
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

    select invoice_key, promise, promised_for
    from promises
    where invoice_key is not null

    union all

    select items.invoice_key, promises.promise, promises.promised_for
    from promises
    inner join {{ ref('items') }} as items on items.account_key = promises.account_key
    where promises.invoice_key is null and items.open_amount > 0

)

select
    invoice_key,
    max(promised_for) as promised_until,
    count(distinct promise) as promise_count,  -- a promise to pay in parts is one
    max(promised_for) >= {{ run_date() }} as is_promised
from per_invoice
group by invoice_key
