-- The balance of each account as of the date: open principal and charges, less credits and cash that nothing is booked on.
-- Grain: one row per account_key, entity and currency. Major units.
with

owed as (

    select account_key, entity, currency, open_amount, charges, 0 as credits
    from {{ ref('invoice_balances') }}
    union all
    select account_key, entity, currency, 0, 0, amount
    from {{ ref('open_credits') }}

)

select
    account_key,
    entity,
    currency,
    cast(sum(open_amount) as decimal(19, 4)) as open_amount,
    cast(sum(charges) as decimal(19, 4)) as charges,
    cast(sum(credits) as decimal(19, 4)) as credits,
    cast(sum(open_amount + charges - credits) as decimal(19, 4)) as balance
from owed
group by account_key, entity, currency
