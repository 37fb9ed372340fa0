-- Open items with their process, and the first reason of the item itself why it cannot be dunned now.
-- Grain: one row per open item; reason is null where the unit and the level decide. Order of reasons: domain §5.1.
with

items as (

    select
        items.*,
        coalesce(items.legal_entity, '') as entity,
        assignments.process, assignments.process_hash, assignments.origin, assignments.problem,
        processes.unit, processes.grouping, processes.escalation, processes.netting, processes.grace_days,
        processes.minimum_days, processes.min_interval_days, processes.percent_of_open, processes.is_plan_driven,
        processes.max_promises, processes.charges_only,
        plans.plan_due_date
    from {{ ref('open_items') }} as items
    left join {{ ref('bill_group_assignments') }} as assignments
        on assignments.account_key = items.account_key and assignments.bill_group_key = items.bill_group_key
    left join {{ source('policy', 'processes') }} as processes on processes.process_hash = assignments.process_hash
    left join {{ ref('item_plans') }} as plans on plans.invoice_key = items.invoice_key
    {% if var('scope_process', '') %}
    where assignments.process is null or assignments.process = '{{ var("scope_process", "") }}'
    {% endif %}

),

phased as (

    select
        *,
        case unit when 'account' then account_key when 'invoice' then invoice_key else bill_group_key end as unit_key,
        -- before the due date, or before the date that a collection plan set: only notices, never reminders
        case
            when days_overdue <= 0 or coalesce(is_plan_driven and plan_due_date >= {{ run_date() }}, false) then 'notice'
            else 'reminder'
        end as phase
    from items

),

judged as (

    select
        phased.*,
        tolerances.amount as tolerance,
        case
            when duplicates.invoice_key is not null then 'held_duplicate'
            when accounts.account_key is null then 'account_unknown'
            when currencies.currency is null then 'unknown_currency'
            when phased.problem in ('unassigned', 'process_unknown') then phased.problem
            when phased.phase = 'notice' and phased.problem is null and notices.process_hash is null
                and phased.days_overdue <= 0 then 'not_due'
            when phased.phase = 'reminder' and phased.days_overdue <= phased.grace_days
                and {{ var('forced_level', 0) }} = 0 then 'in_grace'
            when phased.is_account_blocked then 'account_blocked'
            when phased.is_bill_group_blocked then 'bill_group_blocked'
            when phased.is_invoice_blocked then 'invoice_blocked'
            when phased.is_disputed then 'disputed'
            when phased.is_promised and phased.promise_count <= coalesce(phased.max_promises, phased.promise_count)
                then 'promised'
            when phased.problem is not null then phased.problem
            when tolerances.process_hash is not null and tolerances.amount is null then 'rate_missing'
            when phased.open_amount < tolerances.amount then 'below_tolerance'
        end as reason
    from phased
    left join {{ ref('accounts') }} as accounts on accounts.account_key = phased.account_key
    left join {{ ref('duplicate_invoices') }} as duplicates on duplicates.invoice_key = phased.invoice_key
    left join {{ source('policy', 'currencies') }} as currencies on currencies.currency = phased.currency
    left join {{ ref('thresholds') }} as tolerances
        on tolerances.process_hash = phased.process_hash
        and tolerances.currency = phased.currency
        and tolerances.kind = 'tolerance'
    left join (select distinct process_hash from {{ source('policy', 'process_levels') }} where is_notice) as notices
        on notices.process_hash = phased.process_hash

)

select * from judged
