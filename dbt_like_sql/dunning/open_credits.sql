-- What the creditor owes or holds: unapplied credit memos, cash allocated to nothing, overpaid and negative invoices.
-- Grain: one row per credit; amounts positive, major units, as of the dunning date.
with

applied as (

    select credit_memo_key, sum(case when application_type = 'unapplied' then -amount else amount end) as amount
    from {{ ref('credit_applications') }}
    where coalesce(effective_date, cast('1970-01-01' as date)) <= {{ run_date() }}
    group by credit_memo_key

),

memos as (

    select
        memos.credit_memo_key as credit_key, 'credit_memo' as kind, memos.account_key, memos.legal_entity,
        memos.currency, coalesce(memos.credit_memo_number, memos.credit_memo_id) as reference,
        memos.credit_date as booked_on, memos.total_amount - coalesce(applied.amount, 0) as amount
    from {{ ref('credit_memos') }} as memos
    left join applied on applied.credit_memo_key = memos.credit_memo_key
    where memos.status = 'posted' and coalesce(memos.credit_date, cast('1970-01-01' as date)) <= {{ run_date() }}

),

allocated as (

    select payment_key, sum(case when allocation_type = 'unapplied' then -amount else amount end) as amount
    from {{ ref('payment_allocations') }}
    where coalesce(applied_date, cast('1970-01-01' as date)) <= {{ run_date() }}
    group by payment_key

),

cash as (

    select
        payments.payment_key as credit_key, 'unapplied_cash' as kind, payments.account_key, payments.legal_entity,
        payments.currency, coalesce(payments.payment_number, payments.payment_id) as reference,
        payments.payment_date as booked_on, payments.amount - coalesce(allocated.amount, 0) as amount
    from {{ ref('payments') }} as payments
    left join allocated on allocated.payment_key = payments.payment_key
    where coalesce(payments.status, 'processed') = 'processed'
        and coalesce(payments.payment_date, cast('1970-01-01' as date)) <= {{ run_date() }}

),

overpaid as (

    select
        invoice_key as credit_key, 'invoice' as kind, account_key, legal_entity, currency, invoice_number as reference,
        invoice_date as booked_on, -open_amount as amount
    from {{ ref('items') }}
    where status = 'posted' and open_amount < 0

),

credits as (

    select * from memos
    union all
    select * from cash
    union all
    select * from overpaid

),

entities as (

    select account_key, currency, min(legal_entity) as only_entity
    from {{ ref('items') }}
    where status = 'posted' and open_amount > 0
    group by account_key, currency
    having count(distinct coalesce(legal_entity, '')) = 1

)

select
    credits.credit_key, credits.kind, credits.account_key, credits.currency, credits.reference, credits.booked_on,
    -- money rarely names a creditor: where the account owes only one, it is meant for that one
    coalesce(credits.legal_entity, entities.only_entity, '') as entity,
    cast(credits.amount as decimal(19, 4)) as amount
from credits
left join entities on entities.account_key = credits.account_key and entities.currency = credits.currency
where credits.amount > 0 and credits.account_key is not null
