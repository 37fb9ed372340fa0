-- What has cleared principal by the dunning date: payments, credits and settlements, each with its sign.
-- Grain: one row per allocation, credit application or settlement. booked_on decides whether the run sees it,
-- value_date is what interest counts with; an unapplied entry reverses the earlier one from its own date.
with

payments as (

    select payment_key, status, payment_date, effective_date
    from {{ ref('payments') }}

),

allocated_payments as (

    select
        allocations.invoice_key,
        allocations.schedule_item_key,
        coalesce(allocations.applied_date, payments.payment_date, cast('1970-01-01' as date)) as booked_on,
        case
            when allocations.allocation_type = 'unapplied'
                then coalesce(allocations.effective_date, allocations.applied_date, payments.payment_date)
            else coalesce(
                allocations.effective_date, payments.effective_date, allocations.applied_date, payments.payment_date
            )
        end as value_date,
        case when allocations.allocation_type = 'unapplied' then -allocations.amount else allocations.amount end as amount,
        'payment' as kind
    from {{ ref('payment_allocations') }} as allocations
    left join payments on payments.payment_key = allocations.payment_key
    where coalesce(payments.status, 'processed') = 'processed'

),

applied_credits as (

    select
        applications.invoice_key,
        cast(null as varchar) as schedule_item_key,
        coalesce(applications.effective_date, memos.credit_date, cast('1970-01-01' as date)) as booked_on,
        coalesce(applications.effective_date, memos.credit_date) as value_date,
        case when applications.application_type = 'unapplied' then -applications.amount else applications.amount end as amount,
        'credit' as kind
    from {{ ref('credit_applications') }} as applications
    left join {{ ref('credit_memos') }} as memos on memos.credit_memo_key = applications.credit_memo_key
    where coalesce(memos.status, 'posted') = 'posted'

),

settlements as (

    select
        invoice_key,
        cast(null as varchar) as schedule_item_key,
        coalesce(settled_date, invoice_date) as booked_on,
        coalesce(settled_date, invoice_date) as value_date,
        settled_amount as amount,
        'settlement' as kind
    from {{ ref('invoices') }}
    where settled_amount <> 0

),

clearings as (

    select * from allocated_payments
    union all
    select * from applied_credits
    union all
    select * from settlements

)

select invoice_key, schedule_item_key, booked_on, coalesce(value_date, booked_on) as value_date, amount, kind
from clearings
where booked_on <= {{ run_date() }} and invoice_key is not null and amount is not null
