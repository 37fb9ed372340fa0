-- All credits that an account has with one creditor, in major units and in integer minor units.
-- Grain: one row per account_key, entity and currency with an open credit.
select
    credits.account_key, credits.entity, credits.currency, sum(credits.amount) as amount,
    {{ to_minor('sum(credits.amount)', 'any_value(currencies.e4_per_minor)') }} as open_credits_minor
from {{ ref('open_credits') }} as credits
left join {{ source('policy', 'currencies') }} as currencies on currencies.currency = credits.currency
group by credits.account_key, credits.entity, credits.currency
