-- Which contact is related to which account, and how.
-- Grain: one row per relation_key.
select
    relation_key,
    source,
    account_key,
    contact_key,
    is_direct,
    is_active,
    start_date,
    end_date,
    roles,
    nullif(trim(dunning_contact_role), '') as dunning_contact_role,
    modified_at
from {{ source('mapped', 'account_contact_relations') }}
