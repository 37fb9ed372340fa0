-- The items that stand on a proposed statement: those that advance, and in an aggregate those that have a level.
-- Grain: one row per item and draft_key; draft_key is one open draft per unit, entity, currency (and level).
-- Where bill groups of one unit are in several processes, each process writes its own: a statement has one process.
with

items as (

    select
        *,
        bool_or(item_reason = 'advances') over (partition by process_hash, unit_key, entity, currency, phase)
            as is_advancing,
        bool_or(item_reason = 'level_repeated') over (partition by process_hash, unit_key, entity, currency, phase)
            as is_repeating,
        min(process_hash) over (partition by unit_key, entity, currency)
            <> max(process_hash) over (partition by unit_key, entity, currency) as has_several_processes
    from {{ ref('item_verdicts') }}
    where process_hash is not null
        and reason is null
        and (unit_reason is null or item_reason = 'advances')
        and item_reason <> 'awaiting_send'

),

listed as (

    select
        *,
        case
            when item_reason = 'advances' then 'advances'
            when item_reason = 'level_repeated' and (not is_advancing or grouping = 'per_level') then 'level_repeated'
            when grouping = 'aggregate' and phase = 'reminder' and last_level is not null then 'listed'
        end as listed_reason
    from items
    where is_advancing or is_repeating

),

keyed as (

    select
        *,
        {% if var('scope_invoice', '') %}'single|' || invoice_key{% else %}'dunning|' || unit_key{% endif %}
            || '|' || entity || '|' || currency
            || case when grouping = 'per_level' then '|' || cast(statement_level as varchar) else '' end
            || case when phase = 'notice' then '|notice' else '' end
            || case when has_several_processes then '|' || process_hash else '' end as draft_key
    from listed
    where listed_reason is not null

),

summed as (

    select
        *,
        max(statement_level) over (partition by draft_key) as draft_level,
        sum(open_amount) over (partition by draft_key) as draft_principal
    from keyed

)

select
    *,
    listed_reason = 'advances' as advances,
    case when phase = 'notice' then draft_level when listed_reason = 'advances' then level_after else last_level end
        as listed_level
from summed
