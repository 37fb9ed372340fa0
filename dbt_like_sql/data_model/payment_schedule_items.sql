-- Instalments and promised payments.
-- Grain: one row per schedule_item_key.
select
    schedule_item_key,
    source,
    schedule_key,
    invoice_key,
    due_date,
    amount,
    status,
    modified_at
from {{ source('mapped', 'payment_schedule_items') }}
