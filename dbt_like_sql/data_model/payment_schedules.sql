-- Instalment plans and promises to pay.
-- Grain: one row per schedule_key.
select
    schedule_key,
    source,
    schedule_id,
    invoice_key,
    account_key,
    schedule_type,
    status,
    created_on,
    modified_at
from {{ source('mapped', 'payment_schedules') }}
