-- Every amount that a process declares, in every currency that is owed; converted where it has no entry of its own.
-- Grain: one row per process_hash, level (0 = the process), kind and currency; amount is null where no rate is known.
with

currencies as (

    select currency
    from {{ ref('open_items') }}
    union
    select currency
    from {{ source('ops', 'postings') }}

),

declared as (

    select process_hash, level, kind, currency, amount, position
    from {{ source('policy', 'amounts') }}

),

candidates as (

    select
        declared.process_hash, declared.level, declared.kind, currencies.currency,
        declared.currency as declared_currency, declared.amount as declared_amount,
        declared.currency = currencies.currency as is_own, rates.numerator, rates.denominator, rates.rate_date,
        declared.position
    from declared
    cross join currencies
    left join {{ ref('exchange_rates') }} as rates
        on rates.base = declared.currency and rates.quote = currencies.currency

),

chosen as (

    select *
    from candidates
    qualify row_number() over (
        partition by process_hash, level, kind, currency
        order by is_own desc, numerator is null, position
    ) = 1

),

converted as (

    select
        *,
        cast(declared_amount * 10000 as hugeint) as declared_e4
    from chosen

)

select
    process_hash, level, kind, currency, declared_currency, declared_amount,
    case when not is_own and numerator is not null then rate_date end as rate_date,
    case
        when not is_own and numerator is not null
            then cast(cast((2 * numerator * 100000000 + denominator) // (2 * denominator) as decimal(30, 0))
                * cast(0.00000001 as decimal(8, 8)) as decimal(38, 8))
    end as rate,
    case
        when is_own then declared_amount
        when numerator is not null
            then cast(cast((2 * declared_e4 * numerator + denominator) // (2 * denominator) as decimal(30, 0))
                * cast(0.0001 as decimal(4, 4)) as decimal(19, 4))
    end as amount
from converted
