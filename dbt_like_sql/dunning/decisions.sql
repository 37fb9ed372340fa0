-- Every item of every invoice with the decision of this date: included or not, and the first reason.
-- Grain: one row per invoice_key and instalment. The reasons are the closed list of docs/reason_codes.md.
with

open_ones as (

    select
        verdicts.*,
        drafts.draft_key,
        drafts.listed_reason,
        drafts.listed_level,
        drafts.draft_level
    from {{ ref('item_verdicts') }} as verdicts
    left join {{ ref('draft_items') }} as drafts
        on drafts.invoice_key = verdicts.invoice_key and drafts.instalment = verdicts.instalment

),

decided as (

    select
        invoice_key, instalment, account_key, invoice_id, invoice_number,
        draft_key is not null as included,
        case
            when draft_key is not null then listed_reason
            -- it would have advanced, but the unit's credits cover all that would be listed
            when item_reason in ('advances', 'level_repeated') then 'covered_by_credit'
            else item_reason
        end as reason,
        coalesce(last_level, 0) as level_before,
        coalesce(case when draft_key is not null and phase = 'reminder' then listed_level end, last_level, 0) as level_after,
        process, process_hash, draft_key,
        cast(to_json(struct_pack(
            status := status, currency := currency, due_date := due_date, effective_due_date := effective_due_date,
            days_overdue := days_overdue, original_amount := cast(original_amount as varchar),
            open_amount := cast(open_amount as varchar), bill_group_key := bill_group_key, legal_entity := legal_entity,
            assigned_by := origin, grace_days := grace_days, tolerance := cast(tolerance as varchar),
            minimum := cast(minimum as varchar), minimum_days := minimum_days,
            percent_of_open := cast(percent_of_open as varchar), unit := unit_key,
            unit_dunnable := cast(dunnable_amount as varchar), unit_open := cast(open_in_all as varchar),
            unit_oldest_days := oldest_days, account_credit := cast(account_credit as varchar),
            last_level := last_level, last_sent_on := last_sent_on, last_deadline := last_deadline,
            min_interval_days := min_interval_days, next_level := next_level, next_level_on := next_level_on,
            promised_until := promised_until, promise_count := nullif(promise_count, 0),
            is_broken_promise := is_broken_promise, last_cleared_on := last_cleared_on, statement_level := draft_level
        )) as varchar) as inputs
    from open_ones

),

others as (

    select
        invoice_key, instalment, account_key, invoice_id, invoice_number,
        false as included,
        case
            when status in ('voided', 'cancelled', 'written_off', 'not_yet_issued') then status
            when status <> 'posted' or status is null then 'not_posted'
            else 'nothing_open'
        end as reason,
        cast(null as integer) as level_before, cast(null as integer) as level_after,
        cast(null as varchar) as process, cast(null as varchar) as process_hash, cast(null as varchar) as draft_key,
        cast(to_json(struct_pack(
            status := status, currency := currency, due_date := due_date, open_amount := cast(open_amount as varchar),
            original_amount := cast(original_amount as varchar)
        )) as varchar) as inputs
    from {{ ref('items') }}
    where status is distinct from 'posted' or open_amount <= 0

)

select * from decided
union all
select * from others
