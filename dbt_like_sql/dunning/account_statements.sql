-- Account statements: what an account owes a creditor in all, as of the date, whether overdue or not.
-- Grain: one row per draft_key (account, legal entity, currency). Integer minor units.
with

accounts_owing as (

    select distinct
        'account|' || items.account_key || '|' || coalesce(items.legal_entity, '') || '|' || items.currency as draft_key,
        items.account_key, items.legal_entity, items.currency
    from {{ ref('open_items') }} as items

),

sums as (

    select
        draft_key,
        sum(case when type = 'invoice' then amount_minor else 0 end) as principal_minor,
        sum(case when type = 'credit' then amount_minor else 0 end) as credits_minor,
        sum(case when type = 'carried_interest' then amount_minor else 0 end) as interest_minor,
        sum(case when type = 'carried_fee' then amount_minor else 0 end) as fees_minor,
        sum(amount_minor) as please_pay_minor
    from {{ ref('account_statement_details') }}
    group by draft_key

)

select
    owing.draft_key, 'account' as kind, {{ run_date() }} as dunning_date, owing.account_key, accounts.account_id,
    accounts.name as account_name, links.unified_account_id, owing.account_key as bill_group_key,
    cast(null as varchar) as bill_group_id, owing.account_key as unit_key, owing.legal_entity,
    cast(null as varchar) as process, cast(null as varchar) as process_hash, cast(null as integer) as level,
    cast(null as varchar) as level_name, owing.currency, cast(null as date) as due_date,
    coalesce(recipients.language, company.default_language) as language,
    coalesce(recipients.time_zone, company.time_zone) as time_zone,
    'account_statement' as template,
    case
        when len(recipients.email_to) > 0 then '["email"]'
        when recipients.has_address then '["letter"]'
        else '[]'
    end as channels,
    'review' as approval, false as attach_invoices, false as do_not_send,
    {{ statement_recipients('true', 'true') }} as recipients,
    coalesce(recipients.address, '{}') as address,
    cast(sums.principal_minor as bigint) as principal_minor, cast(sums.credits_minor as bigint) as credits_minor,
    cast(null as bigint) as open_credits_minor,
    cast(sums.interest_minor as bigint) as interest_minor, cast(sums.fees_minor as bigint) as fees_minor,
    cast(sums.please_pay_minor as bigint) as please_pay_minor,
    case
        when recipients.has_conflict then 'recipient_conflict: ' || recipients.conflict_text
        when coalesce(len(recipients.email_to), 0) = 0 and not coalesce(recipients.has_address, false)
            then 'no_recipient'
    end as hold_reason
from accounts_owing as owing
inner join sums on sums.draft_key = owing.draft_key
inner join {{ ref('accounts') }} as accounts on accounts.account_key = owing.account_key
cross join {{ source('policy', 'company') }} as company
left join {{ ref('account_recipients') }} as recipients on recipients.account_key = owing.account_key
left join (select account_key, min(unified_account_id) as unified_account_id from {{ ref('account_links') }}
    group by account_key) as links on links.account_key = owing.account_key
