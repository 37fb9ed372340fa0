-- Invoices of collection plans.
-- Grain: one row per plan_item_key.
select
    plan_item_key,
    source,
    plan_key,
    invoice_key,
    amount,
    modified_at
from {{ source('mapped', 'collection_plan_items') }}
