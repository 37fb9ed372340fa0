-- The fields that a level's condition may ask about an invoice: those of the source and those computed here.
-- Grain: one row per open item.
{{ config(materialized='view') }}
select
    items.invoice_key, items.instalment, items.account_key, items.bill_group_key, items.source, items.invoice_id,
    items.invoice_number, items.legal_entity, items.currency, items.status, items.invoice_date, items.due_date,
    items.effective_due_date, items.days_overdue, items.original_amount, items.open_amount, items.is_disputed,
    items.is_promised, items.is_broken_promise, items.prevent_dunning, items.last_level, items.last_sent_on,
    invoices.billing_contact_key, invoices.postponed_due_date, invoices.total_amount, invoices.tax_amount,
    invoices.adjustment_amount, invoices.written_off_amount, invoices.settled_amount, invoices.settled_date,
    invoices.source_balance, invoices.reference, invoices.description, invoices.payment_link, invoices.created_at,
    invoices.modified_at
from {{ ref('open_items') }} as items
inner join {{ ref('invoices') }} as invoices on invoices.invoice_key = items.invoice_key
