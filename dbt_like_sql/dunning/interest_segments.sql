-- The calculation sheet of interest: each stretch with its principal, rate, days and the source of the rate.
-- Grain: one row per item and first day of a stretch. Integers throughout: minor units, ten-thousandths of a per cent.
with

rules as (

    select * from {{ ref('interest_rules') }}

),

rated as (

    select
        days.*, rules.draft_key, rules.currency, rules.day_count, rules.law,
        case
            when rules.interest_kind = 'law' then greatest(rules.margin_e4 + rates.percent_e4, 0)
            else rules.agreed_e4
        end as percent_e4,
        rates.percent_e4 as base_e4,
        rates.source,
        -- the day before the stretch is not counted, its last day is
        days.from_day - 1 as day_before
    from {{ ref('interest_days') }} as days
    inner join rules on rules.invoice_key = days.invoice_key and rules.instalment = days.instalment
    left join {{ source('policy', 'law_rates') }} as rates
        on rates.law = rules.law
        and case when rules.rule = 'fixed_at_start' then rules.first_day else days.from_day end >= rates.valid_from
        and case when rules.rule = 'fixed_at_start' then rules.first_day else days.from_day end < rates.valid_to

)

select
    rated.draft_key, rated.invoice_key, rated.instalment, rated.from_day, rated.to_day, rated.percent_e4,
    rated.base_e4, rated.source, rated.day_count, principals.principal,
    {{ to_minor('principals.principal', 'currencies.e4_per_minor') }} as principal_minor,
    case
        when rated.day_count = '30/360' then
            360 * (year(rated.to_day) - year(rated.day_before)) + 30 * (month(rated.to_day) - month(rated.day_before))
            + least(day(rated.to_day), 30) - least(day(rated.day_before), 30)
        else rated.to_day - rated.day_before
    end as days,
    -- days in the year x 100 per cent x ten-thousandths
    case when rated.day_count = 'act/365' then 365000000 else 360000000 end as denominator
from rated
inner join {{ ref('interest_principals') }} as principals
    on principals.invoice_key = rated.invoice_key
    and principals.instalment = rated.instalment
    and principals.from_day = rated.from_day
inner join {{ source('policy', 'currencies') }} as currencies on currencies.currency = rated.currency
