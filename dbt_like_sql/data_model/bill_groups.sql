-- What is gathered into one dunning conversation.
-- Grain: one row per bill_group_key.
select
    bill_group_key,
    source,
    bill_group_id,
    account_key,
    trim(name) as name,
    process,
    prevent_dunning,
    modified_at
from {{ source('mapped', 'bill_groups') }}
