-- The verdict on every open item: the level that it advances to, or the first reason why it does not.
-- Grain: one row per open item. A level whose minimum is missed repeats the last letter once its deadline is over.
with

reached as (

    select
        invoice_key,
        instalment,
        max(case when is_reached and is_condition_met and is_member and shortfall is null then level end) as target_level,
        max(case when is_next and is_reached and is_condition_met and is_member then shortfall end) as shortfall,
        bool_or(is_next and is_reached and not is_condition_met) as is_condition_missed,
        bool_or(is_next and is_reached and not is_member) as is_segment_missed,
        max(case when is_next then level end) as next_level,
        max(case when is_next then level_on end) as next_level_on,
        max(case when level = {{ var('forced_level', 0) }} then level end) as forced_level
    from {{ ref('level_candidates') }}
    group by invoice_key, instalment

),

items as (

    select
        items.*,
        units.reason as unit_reason, units.minimum, units.dunnable_amount, units.open_in_all, units.account_credit,
        units.credit as unit_credit, units.oldest_days,
        reached.target_level, reached.shortfall, reached.is_condition_missed, reached.is_segment_missed,
        reached.next_level, reached.next_level_on, reached.forced_level,
        awaiting.invoice_key is not null as is_awaiting,
        items.phase = 'reminder'
            and items.last_sent_on + items.min_interval_days > {{ run_date() }} as is_interval_open
    from {{ ref('dunnable_items') }} as items
    left join {{ ref('dunning_units') }} as units
        on units.process_hash = items.process_hash
        and units.unit_key = items.unit_key
        and units.entity = items.entity
        and units.currency = items.currency
        and units.phase = items.phase
    left join reached on reached.invoice_key = items.invoice_key and reached.instalment = items.instalment
    left join {{ ref('awaiting_items') }} as awaiting
        on awaiting.invoice_key = items.invoice_key and awaiting.instalment = items.instalment

),

judged as (

    select
        *,
        case
            when reason is not null then reason
            {% if var('forced_level', 0) > 0 %}
            when forced_level is not null then 'advances'
            {% endif %}
            when unit_reason is not null then unit_reason
            when is_awaiting then 'awaiting_send'
            when is_interval_open then 'interval_not_over'
            {% if var('scope_levels', []) %}
            when target_level not in ({{ var('scope_levels', []) | join(', ') }}) then 'level_filtered'
            {% endif %}
            when target_level is not null then 'advances'
            when phase = 'notice' and days_overdue <= 0 then 'not_due'
            when next_level is null and phase = 'reminder' then 'last_level_sent'
            when is_condition_missed then 'condition_not_met'
            when is_segment_missed then 'not_in_segment'
            when shortfall is not null and last_level is not null and shortfall <> 'rate_missing'
                and coalesce(last_deadline <= {{ run_date() }}, true) then 'level_repeated'
            when shortfall is not null then shortfall
            else 'level_not_reached'
        end as item_reason,
        coalesce(forced_level, target_level) as level_found
    from items

)

select
    *,
    case
        when item_reason = 'advances' then level_found
        when item_reason = 'level_repeated' then last_level
    end as statement_level,
    case
        when item_reason = 'advances' and phase = 'reminder' then greatest(level_found, coalesce(last_level, 0))
        else last_level
    end as level_after
from judged
