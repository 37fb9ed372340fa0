-- Collection plans of the CRM.
-- Grain: one row per plan_key.
select
    plan_key,
    source,
    plan_id,
    account_key,
    trim(name) as name,
    status,
    risk,
    plan_due_date,
    amount,
    upper(trim(currency)) as currency,
    contact_key,
    owner,
    created_on,
    modified_at
from {{ source('mapped', 'collection_plans') }}
