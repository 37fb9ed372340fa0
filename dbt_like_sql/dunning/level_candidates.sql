-- Every level that an item could advance to now, with what each still lacks.
-- Grain: one row per item and level: the next one in a sequence, all higher ones for catch_up and for notices.
with

items as (

    select
        items.invoice_key, items.instalment, items.account_key, items.process_hash, items.phase, items.escalation,
        items.effective_due_date, items.plan_due_date, items.last_sent_on, items.last_deadline,
        case when items.phase = 'notice' then coalesce(items.last_notice_level, 0) else coalesce(items.last_level, 0) end
            as level_before,
        units.dunnable_amount, units.credit, units.open_in_all, items.currency
    from {{ ref('dunnable_items') }} as items
    inner join {{ ref('dunning_units') }} as units
        on units.process_hash = items.process_hash
        and units.unit_key = items.unit_key
        and units.entity = items.entity
        and units.currency = items.currency
        and units.phase = items.phase
    where items.reason is null and (units.reason is null or {{ var('forced_level', 0) }} > 0)

),

numbered as (

    select
        items.*, levels.level, levels.anchor, levels.days, levels.end_of_month, levels.segment,
        levels.percent_of_open,
        case levels.anchor
            when 'due_date' then items.effective_due_date
            when 'plan_due_date' then items.plan_due_date
            when 'last_statement' then items.last_sent_on
            else items.last_deadline
        end as anchored_on,
        levels.level = min(levels.level) over (partition by items.invoice_key, items.instalment) as is_next
    from items
    inner join {{ source('policy', 'process_levels') }} as levels
        on levels.process_hash = items.process_hash
        and (
            (levels.is_notice = (items.phase = 'notice') and levels.level > items.level_before)
            or levels.level = {{ var('forced_level', 0) }}
        )

),

dated as (

    select
        *,
        case when end_of_month then last_day(anchored_on + days) else anchored_on + days end as level_on
    from numbered
    where is_next or phase = 'notice'
        or (escalation = 'catch_up' and anchor in ('due_date', 'plan_due_date'))
        or level = {{ var('forced_level', 0) }}

)

select
    dated.invoice_key, dated.instalment, dated.level, dated.is_next, dated.level_on, dated.level_before,
    coalesce(dated.level_on <= {{ run_date() }}, false)
        -- a notice that was missed is not sent once its date has passed
        and (dated.phase <> 'notice' or dated.anchored_on >= {{ run_date() }}) as is_reached,
    failures.invoice_key is null as is_condition_met,
    dated.segment is null or members.account_key is not null as is_member,
    case
        when minimums.process_hash is not null and minimums.amount is null then 'rate_missing'
        when dated.dunnable_amount - dated.credit < minimums.amount then 'below_minimum'
        when dated.dunnable_amount * 100 < dated.percent_of_open * dated.open_in_all then 'below_percent'
    end as shortfall
from dated
left join {{ ref('condition_failures') }} as failures
    on failures.process_hash = dated.process_hash
    and failures.level = dated.level
    and failures.invoice_key = dated.invoice_key
    and failures.instalment = dated.instalment
left join (select distinct segment, account_key from {{ source('policy', 'segment_members') }}) as members
    on members.segment = dated.segment and members.account_key = dated.account_key
left join {{ ref('thresholds') }} as minimums
    on minimums.process_hash = dated.process_hash
    and minimums.level = dated.level
    and minimums.kind = 'minimum'
    and minimums.currency = dated.currency
