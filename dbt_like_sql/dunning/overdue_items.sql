-- Open items past their (postponed) due date as of the dunning date, disputed and blocked ones included.
-- Grain: one row per invoice_key and instalment; days_overdue is 1 on the day after the due date.
select *
from {{ ref('open_items') }}
where days_overdue > 0
