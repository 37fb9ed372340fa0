-- Which credit memo cleared how much of which invoice.
-- Grain: one row per application_key.
select
    application_key,
    source,
    credit_memo_key,
    invoice_key,
    amount,
    application_type,
    effective_date,
    modified_at
from {{ source('mapped', 'credit_applications') }}
