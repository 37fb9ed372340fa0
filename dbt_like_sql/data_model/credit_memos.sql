-- Credit memos.
-- Grain: one row per credit_memo_key.
select
    credit_memo_key,
    source,
    credit_memo_id,
    credit_memo_number,
    account_key,
    legal_entity,
    status,
    upper(trim(currency)) as currency,
    total_amount,
    source_balance,
    credit_date,
    modified_at
from {{ source('mapped', 'credit_memos') }}
