-- Exchange rates by date: 1 base = rate quote.
-- Grain: one row per fx_key.
select
    fx_key,
    rate_date,
    upper(trim(base)) as base,
    upper(trim(quote)) as quote,
    rate
from {{ source('mapped', 'fx_rates') }}
