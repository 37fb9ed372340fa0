-- Legacy account contact roles.
-- Grain: one row per role_key.
select
    role_key,
    source,
    account_key,
    contact_key,
    role,
    is_primary,
    modified_at
from {{ source('mapped', 'account_contact_roles') }}
