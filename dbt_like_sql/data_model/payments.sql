-- Money received.
-- Grain: one row per payment_key.
select
    payment_key,
    source,
    payment_id,
    payment_number,
    account_key,
    legal_entity,
    upper(trim(currency)) as currency,
    amount,
    payment_date,
    effective_date,
    status,
    payment_type,
    modified_at
from {{ source('mapped', 'payments') }}
