-- What is owed as of the dunning date: posted items with an open amount, with all that may hold them back.
-- Grain: one row per invoice_key and instalment. Amounts in major units of the item's currency, principal only.
with

items as (

    select *
    from {{ ref('items') }}
    where status = 'posted' and open_amount > 0

),

postponements as (

    select invoice_key, instalment, max_by(postponed_to, (created_at, postponement_id)) as postponed_to
    from {{ source('ops', 'postponements') }}
    where created_on <= {{ run_date() }} and (ended_at is null or cast(ended_at as date) > {{ run_date() }})
    group by invoice_key, instalment

),

blocks as (

    select
        scope,
        target_key,
        bool_or(kind = 'dispute') as is_disputed,
        bool_or(kind <> 'dispute') as is_blocked
    from {{ source('ops', 'blocks') }}
    where valid_from <= {{ run_date() }}
        and (valid_to is null or valid_to >= {{ run_date() }})
        and (ended_at is null or cast(ended_at as date) > {{ run_date() }})
    group by scope, target_key

),

dated as (

    select
        items.*,
        -- an invoice cannot have been overdue before it existed, nor earlier than agreed: a postponed date may be older
        -- than a due date that was corrected since
        greatest(
            coalesce(by_item.postponed_to, by_invoice.postponed_to, items.postponed_due_date),
            items.due_date, items.invoice_date
        ) as effective_due_date
    from items
    left join postponements as by_item
        on by_item.invoice_key = items.invoice_key and by_item.instalment = items.instalment
    left join postponements as by_invoice
        on by_invoice.invoice_key = items.invoice_key and by_invoice.instalment is null

)

select
    dated.invoice_key, dated.invoice_id, dated.invoice_number, dated.instalment, dated.is_instalment, dated.source,
    dated.account_key, dated.bill_group_key, dated.legal_entity, dated.currency, dated.status, dated.invoice_date,
    dated.due_date, dated.effective_due_date, cast({{ run_date() }} - dated.effective_due_date as integer) as days_overdue,
    dated.original_amount, dated.open_amount, dated.last_cleared_on,
    coalesce(dated.is_disputed, false) or coalesce(invoice_block.is_disputed, false)
        or coalesce(group_block.is_disputed, false) or coalesce(account_block.is_disputed, false) as is_disputed,
    coalesce(promises.is_promised, false) as is_promised,
    coalesce(not promises.is_promised, false) as is_broken_promise,
    coalesce(promises.promise_count, 0) as promise_count,
    promises.promised_until,
    coalesce(accounts.prevent_dunning, false) or coalesce(account_block.is_blocked, false) as is_account_blocked,
    coalesce(bill_groups.prevent_dunning, false) or coalesce(group_block.is_blocked, false) as is_bill_group_blocked,
    coalesce(dated.prevent_dunning, false) or coalesce(invoice_block.is_blocked, false) as is_invoice_blocked,
    coalesce(dated.prevent_dunning, false) or coalesce(accounts.prevent_dunning, false)
        or coalesce(bill_groups.prevent_dunning, false) as prevent_dunning,
    levels.last_level, levels.last_sent_on, levels.last_deadline, levels.last_notice_level, levels.last_statement_id
from dated
left join {{ ref('accounts') }} as accounts on accounts.account_key = dated.account_key
left join {{ ref('bill_groups') }} as bill_groups on bill_groups.bill_group_key = dated.bill_group_key
left join {{ ref('item_promises') }} as promises on promises.invoice_key = dated.invoice_key
left join {{ ref('reached_levels') }} as levels
    on levels.invoice_key = dated.invoice_key and levels.instalment = dated.instalment
left join blocks as account_block on account_block.scope = 'account' and account_block.target_key = dated.account_key
left join blocks as group_block on group_block.scope = 'bill_group' and group_block.target_key = dated.bill_group_key
left join blocks as invoice_block on invoice_block.scope = 'invoice' and invoice_block.target_key = dated.invoice_key
