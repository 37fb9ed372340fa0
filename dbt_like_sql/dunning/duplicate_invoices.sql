-- Posted invoices that two sources carry under one legal entity and number: held, never dunned twice.
-- Grain: one row per invoice_key.
with

invoices as (

    select invoice_key, source, coalesce(legal_entity, '') as entity, invoice_number
    from {{ ref('invoices') }}
    where status = 'posted'
        -- the common case of one source costs nothing
        and (select count(distinct source) from {{ ref('invoices') }}) > 1

),

repeated as (

    select entity, invoice_number
    from invoices
    group by entity, invoice_number
    having count(distinct source) > 1

)

select invoices.invoice_key, invoices.source, invoices.invoice_number
from invoices
inner join repeated on repeated.entity = invoices.entity and repeated.invoice_number = invoices.invoice_number
