-- Overdue and nearly due items that do not fulfil the condition of a level of their process.
-- Grain: one row per process_hash, level, invoice_key and instalment; the conditions come from policies/processes.
with

nothing as (

    select
        cast(null as varchar) as process_hash, cast(null as integer) as level,
        cast(null as varchar) as invoice_key, cast(null as integer) as instalment
    where 1 = 0

){% for rule in var('level_conditions', []) %},

rule_{{ loop.index }} as (

    select '{{ rule.process_hash }}' as process_hash, {{ rule.level }} as level, invoice.invoice_key, invoice.instalment
    from {{ ref('condition_fields') }} as invoice
    inner join {{ ref('bill_group_assignments') }} as assignments
        on assignments.account_key = invoice.account_key
        and assignments.bill_group_key = invoice.bill_group_key
        and assignments.process_hash = '{{ rule.process_hash }}'
    left join {{ ref('accounts') }} as account on account.account_key = invoice.account_key
    left join {{ ref('bill_groups') }} as bill_group on bill_group.bill_group_key = invoice.bill_group_key
    left join {{ ref('item_plans') }} as item_plan on item_plan.invoice_key = invoice.invoice_key
    left join {{ ref('collection_plans') }} as plan on plan.plan_key = item_plan.plan_key
    where not coalesce({{ rule.condition }}, false)

){% endfor %}

select * from nothing
{%- for rule in var('level_conditions', []) %}
union all
select * from rule_{{ loop.index }}
{%- endfor %}
