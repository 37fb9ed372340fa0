-- What is owed as of the date with charges: open principal, fees and interest posted and not yet cleared, and their sum.
-- Grain: one row per account_key, entity, currency and invoice_key; null is what belongs to no one invoice (a statement's
-- fee). Major units. Minimums, tolerance and ageing never look here: they count principal only.
with

principal as (

    select account_key, coalesce(legal_entity, '') as entity, currency, invoice_key, sum(open_amount) as open_amount
    from {{ ref('open_items') }}
    group by all

),

charges as (

    select
        postings.account_key,
        coalesce(postings.legal_entity, '') as entity,
        postings.currency,
        postings.invoice_key,
        sum(cast(postings.amount_minor * currencies.e4_per_minor as decimal(28, 0)) * cast(0.0001 as decimal(4, 4)))
            as charges
    from {{ source('ops', 'postings') }} as postings
    inner join {{ source('policy', 'currencies') }} as currencies on currencies.currency = postings.currency
    where postings.posted_on <= {{ run_date() }}
    group by all
    having sum(postings.amount_minor) <> 0

),

owed as (

    select account_key, entity, currency, invoice_key, open_amount, 0 as charges from principal
    union all
    select account_key, entity, currency, invoice_key, 0 as open_amount, charges from charges

),

summed as (

    select account_key, entity, currency, invoice_key, sum(open_amount) as open_amount, sum(charges) as charges
    from owed
    group by account_key, entity, currency, invoice_key

)

select
    summed.account_key, summed.entity, summed.currency, summed.invoice_key, invoices.invoice_id, invoices.invoice_number,
    cast(summed.open_amount as decimal(19, 4)) as open_amount,
    cast(summed.charges as decimal(19, 4)) as charges,
    cast(summed.open_amount + summed.charges as decimal(19, 4)) as open_amount_with_charges
from summed
left join {{ ref('invoices') }} as invoices on invoices.invoice_key = summed.invoice_key
