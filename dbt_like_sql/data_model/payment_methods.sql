-- Stored means of payment.
-- Grain: one row per payment_method_key.
select
    payment_method_key,
    source,
    account_key,
    method_type,
    provider,
    provider_customer,
    provider_token,
    is_default,
    is_active,
    modified_at
from {{ source('mapped', 'payment_methods') }}
