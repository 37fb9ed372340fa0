-- The statements that a run of this date proposes: who is asked for how much, at which level, by which channels.
-- Grain: one row per draft_key. Integer minor units of the statement's currency.
with

drafts as (

    select
        draft_key, account_key, unit_key, legal_entity, process, process_hash, draft_level as level, currency,
        any_value(unit) as unit, min(bill_group_key) as first_bill_group_key,
        bool_and(phase = 'reminder' and netting <> 'ignore') as is_netted, false as is_charges_only
    from {{ ref('draft_items') }}
    group by draft_key, account_key, unit_key, legal_entity, process, process_hash, draft_level, currency
    union all
    select
        draft_key, account_key, unit_key, legal_entity, process, process_hash, draft_level, currency,
        'bill_group' as unit, bill_group_key, false as is_netted, true as is_charges_only
    from {{ ref('charge_drafts') }}

),

sums as (

    select
        draft_key,
        sum(case when type = 'invoice' then amount_minor else 0 end) as principal_minor,
        sum(case when type = 'credit' then amount_minor else 0 end) as credits_minor,
        sum(case when type in ('interest', 'carried_interest') then amount_minor else 0 end) as interest_minor,
        sum(case when type in ('fee', 'carried_fee', 'compensation') then amount_minor else 0 end) as fees_minor,
        sum(amount_minor) as please_pay_minor
    from {{ ref('proposed_details') }}
    group by draft_key

),

unpriced as (

    select draft_key from {{ ref('fee_lines') }} where amount_minor is null
    union
    select draft_key from {{ ref('compensation_lines') }} where amount_minor is null

),

dated as (

    select
        drafts.*,
        case when drafts.unit = 'account' then drafts.account_key else drafts.first_bill_group_key end as bill_group_key,
        {{ run_date() }} + levels.due_in_days as due_on,
        levels.name as level_name, levels.attach_invoices, levels.do_not_send,
        -- a reminder's words speak of invoices that are overdue: charges alone get a statement's, and a person's look
        case when drafts.is_charges_only then 'account_statement' else levels.template end as template,
        case when drafts.is_charges_only then 'review' else levels.approval end as approval,
        processes.cc_role, processes.cc_account
    from drafts
    inner join {{ source('policy', 'process_levels') }} as levels
        on levels.process_hash = drafts.process_hash and levels.level = drafts.level
    inner join {{ source('policy', 'processes') }} as processes on processes.process_hash = drafts.process_hash

)

select
    dated.draft_key, 'dunning' as kind, {{ run_date() }} as dunning_date, dated.account_key, accounts.account_id,
    accounts.name as account_name, links.unified_account_id, dated.bill_group_key, bill_groups.bill_group_id,
    dated.unit_key, dated.legal_entity, dated.process, dated.process_hash, dated.level, dated.level_name,
    dated.currency, coalesce(deadlines.deadline, dated.due_on) as due_date,
    coalesce(recipients.language, company.default_language) as language,
    coalesce(recipients.time_zone, company.time_zone) as time_zone,
    dated.template, channels.channels, dated.approval, dated.attach_invoices, dated.do_not_send,
    {{ statement_recipients('dated.cc_role', 'dated.cc_account') }} as recipients,
    coalesce(recipients.address, '{}') as address,
    cast(sums.principal_minor as bigint) as principal_minor, cast(sums.credits_minor as bigint) as credits_minor,
    -- where credits count: what the account has in all, so that more of it can be noticed before anything leaves
    case when dated.is_netted then coalesce(credits.open_credits_minor, 0) end as open_credits_minor,
    cast(sums.interest_minor as bigint) as interest_minor, cast(sums.fees_minor as bigint) as fees_minor,
    cast(sums.please_pay_minor as bigint) as please_pay_minor,
    coalesce(channels.hold_reason, case when unpriced.draft_key is not null then 'rate_missing: charge' end) as hold_reason
from dated
inner join sums on sums.draft_key = dated.draft_key
inner join {{ ref('accounts') }} as accounts on accounts.account_key = dated.account_key
cross join {{ source('policy', 'company') }} as company
left join {{ ref('credit_totals') }} as credits
    on credits.account_key = dated.account_key
    and credits.entity = coalesce(dated.legal_entity, '')
    and credits.currency = dated.currency
left join unpriced on unpriced.draft_key = dated.draft_key
left join {{ ref('draft_channels') }} as channels on channels.draft_key = dated.draft_key
left join {{ ref('bill_groups') }} as bill_groups on bill_groups.bill_group_key = dated.bill_group_key
left join {{ ref('account_recipients') }} as recipients on recipients.account_key = dated.account_key
left join (select account_key, min(unified_account_id) as unified_account_id from {{ ref('account_links') }}
    group by account_key) as links on links.account_key = dated.account_key
left join {{ source('policy', 'deadlines') }} as deadlines on deadlines.day = dated.due_on
