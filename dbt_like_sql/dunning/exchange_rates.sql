-- Rates known at the dunning date, as a fraction so that no digit is lost: 1 base = numerator / denominator quote.
-- Grain: one row per base and quote; direct before inverse before crossed.
with

known as (

    select base, quote, cast(rate * 100000000 as hugeint) as rate_e8, rate_date
    from {{ ref('fx_rates') }}
    where rate_date <= {{ run_date() }} and rate > 0
    qualify row_number() over (partition by base, quote order by rate_date desc) = 1

),

candidates as (

    select base, quote, rate_e8 as numerator, cast(100000000 as hugeint) as denominator, rate_date, 1 as preference
    from known

    union all

    select quote, base, cast(100000000 as hugeint), rate_e8, rate_date, 2
    from known

    union all

    select
        first_leg.quote, second_leg.quote, second_leg.rate_e8, first_leg.rate_e8,
        least(first_leg.rate_date, second_leg.rate_date), 3
    from known as first_leg
    inner join known as second_leg on second_leg.base = first_leg.base and second_leg.quote <> first_leg.quote

)

select base, quote, numerator, denominator, rate_date
from candidates
qualify row_number() over (partition by base, quote order by preference, rate_date desc, numerator) = 1
