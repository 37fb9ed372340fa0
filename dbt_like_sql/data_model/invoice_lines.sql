-- Lines of invoices.
-- Grain: one row per invoice_line_key.
select
    invoice_line_key,
    source,
    invoice_key,
    line_number,
    description,
    quantity,
    unit_price,
    amount,
    tax_amount,
    modified_at
from {{ source('mapped', 'invoice_lines') }}
