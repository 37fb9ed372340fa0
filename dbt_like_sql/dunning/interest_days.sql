-- Stretches of days in which neither principal nor rate changes, from the day after the due date to the dunning date.
-- Grain: one row per item and first day of a stretch. The day of a payment still belongs to the old principal.
with

rules as (

    select * from {{ ref('interest_rules') }} where problem is null and first_day <= {{ run_date() }}

),

days as (

    select invoice_key, instalment, first_day as from_day from rules
    union
    select rules.invoice_key, rules.instalment, clearings.value_date + 1
    from rules
    inner join {{ ref('invoice_clearings') }} as clearings on clearings.invoice_key = rules.invoice_key
    where clearings.value_date >= rules.first_day and clearings.value_date < {{ run_date() }}
    union
    select rules.invoice_key, rules.instalment, rates.valid_from
    from rules
    inner join {{ source('policy', 'law_rates') }} as rates on rates.law = rules.law
    where rules.rule = 'floating' and rates.valid_from > rules.first_day and rates.valid_from <= {{ run_date() }}

)

select
    invoice_key,
    instalment,
    from_day,
    coalesce(
        lead(from_day) over (partition by invoice_key, instalment order by from_day) - 1, {{ run_date() }}
    ) as to_day
from days
