-- Which payment cleared how much of which invoice or instalment (PaymentLineInvoice).
-- Grain: one row per allocation_key.
select
    allocation_key,
    source,
    payment_key,
    invoice_key,
    schedule_item_key,
    amount,
    allocation_type,
    applied_date,
    effective_date,
    modified_at
from {{ source('mapped', 'payment_allocations') }}
