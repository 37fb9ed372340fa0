-- What one unit of a currency is worth in the reporting currency, by the newest rate that the business date knows.
-- Grain: one row per currency; a currency without a rate is not there. For ranking and reports, never for debts.
-- Owner: finance.
with

rates as (

    select base, quote, cast(rate as double) as rate
    from {{ ref('fx_rates') }}
    where rate_date <= {{ run_date() }} and rate > 0
    qualify row_number() over (partition by base, quote order by rate_date desc) = 1

),

direct as (

    select base as currency, rate, 1 as preference
    from rates
    where quote = '{{ var("reporting_currency", "EUR") }}'

),

inverse as (

    select quote as currency, 1 / rate as rate, 2 as preference
    from rates
    where base = '{{ var("reporting_currency", "EUR") }}'

),

crossed as (

    select priced.quote as currency, wanted.rate / priced.rate as rate, 3 as preference
    from rates as priced
    inner join rates as wanted on wanted.base = priced.base
    where wanted.quote = '{{ var("reporting_currency", "EUR") }}'

),

identical as (

    select '{{ var("reporting_currency", "EUR") }}' as currency, cast(1 as double) as rate, 0 as preference

),

candidates as (

    select * from identical
    union all
    select * from direct
    union all
    select * from inverse
    union all
    select * from crossed

),

chosen as (

    select currency, rate
    from candidates
    qualify row_number() over (partition by currency order by preference, rate) = 1

)

select * from chosen
