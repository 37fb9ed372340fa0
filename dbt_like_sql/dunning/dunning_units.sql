-- What is dunned together: sums, age and credits of a unit, and the first reason why the whole unit is left out.
-- Grain: one row per process_hash, unit_key, entity, currency and phase with a dunnable item.
with

units as (

    select
        process_hash, unit_key, entity, currency, phase, account_key,
        any_value(netting) as netting,
        any_value(minimum_days) as minimum_days,
        any_value(percent_of_open) as percent_of_open,
        coalesce(sum(case when reason is null then open_amount end), 0) as dunnable_amount,
        sum(open_amount) as open_amount,
        max(case when reason is null then days_overdue end) as oldest_days,
        min(case when reason is null then effective_due_date end) as oldest_due_date
    from {{ ref('dunnable_items') }}
    where process_hash is not null
    group by process_hash, unit_key, entity, currency, phase, account_key

),

whole as (

    select *, sum(open_amount) over (partition by process_hash, unit_key, entity, currency) as open_in_all
    from units

),

ranked as (

    select
        *,
        -- credits of an account go to its oldest unit first and are never shown twice; who does not net uses up none
        coalesce(sum(case when netting = 'show' then dunnable_amount end) over (
            partition by account_key, entity, currency, phase
            order by oldest_due_date, unit_key, process_hash rows between unbounded preceding and 1 preceding
        ), 0) as dunnable_before
    from whole
    where oldest_days is not null

),

netted as (

    select
        ranked.*,
        case when ranked.phase = 'reminder' then coalesce(credits.amount, 0) else 0 end as account_credit,
        case
            when ranked.phase = 'reminder' and ranked.netting = 'show'
                then greatest(0, least(ranked.dunnable_amount, coalesce(credits.amount, 0) - ranked.dunnable_before))
            else 0
        end as credit
    from ranked
    left join {{ ref('credit_totals') }} as credits
        on credits.account_key = ranked.account_key
        and credits.entity = ranked.entity
        and credits.currency = ranked.currency

)

select
    netted.*,
    minimums.amount as minimum,
    case
        when netted.netting = 'block' and netted.account_credit > 0 then 'held_for_credit'
        when netted.credit >= netted.dunnable_amount then 'covered_by_credit'
        when minimums.process_hash is not null and minimums.amount is null then 'rate_missing'
        when netted.dunnable_amount - netted.credit < minimums.amount then 'below_minimum'
        when netted.dunnable_amount * 100 < netted.percent_of_open * netted.open_in_all then 'below_percent'
        when netted.phase = 'reminder' and netted.oldest_days < netted.minimum_days then 'too_young'
    end as reason
from netted
left join {{ ref('thresholds') }} as minimums
    on minimums.process_hash = netted.process_hash
    and minimums.currency = netted.currency
    and minimums.kind = 'minimum'
    and minimums.level = 0
