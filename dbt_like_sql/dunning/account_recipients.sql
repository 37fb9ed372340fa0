-- Who is written to about an account's debts as of the date, by which channel, and why exactly they.
-- Grain: one row per account_key. Empty lists and nulls where nobody can be reached; conflicts hold the statement.
with

answers as (

    select
        account_key,
        max(case when purpose = 'email' and is_answer and outcome = 'chosen' then address end) as email_to,
        max(case when purpose = 'email' and is_answer and outcome = 'chosen' then contact_key end) as email_contact_key,
        max(case when purpose = 'sms' and is_answer and outcome = 'chosen' then address end) as sms_to,
        max(case when purpose = 'address' and is_answer and outcome = 'chosen' then contact_key end)
            as address_contact_key,
        max(case when is_answer and outcome = 'conflict' and purpose <> 'sms' then said_by end) as conflict_role,
        max(case when purpose = 'email' and outcome not in ('chosen', 'conflict', 'no_address', 'invalid_address')
            then outcome end) as email_refusal,
        max(case when purpose = 'sms' and outcome not in ('chosen', 'conflict', 'no_address', 'invalid_address')
            then outcome end) as sms_refusal,
        -- sorted as texts: lists of structs cost several times as much
        list_sort(list(cast(to_json(struct_pack(
            purpose := purpose, step := step, said_by := said_by, strength := strength, contact := contact_key,
            address := address, outcome := outcome, is_answer := is_answer
        )) as varchar))) as trace
    from {{ ref('recipient_choices') }}
    group by account_key

),

copies as (

    select
        account_key,
        list_sort(list(distinct address) filter (where place = 'cc_role' and refusal is null)) as email_cc_role,
        list_sort(list(distinct address) filter (where place = 'cc_account' and refusal is null)) as email_cc_account,
        list_sort(list(distinct address) filter (where place = 'bcc' and refusal is null)) as email_bcc,
        list_sort(list(cast(to_json(struct_pack(place := place, written := written, refusal := refusal)) as varchar)))
            as trace
    from {{ ref('recipient_ccs') }}
    group by account_key

)

select
    accounts.account_key,
    case when answers.email_to is null then cast([] as varchar[]) else [answers.email_to] end as email_to,
    coalesce(copies.email_cc_role, cast([] as varchar[])) as email_cc_role,
    coalesce(copies.email_cc_account, cast([] as varchar[])) as email_cc_account,
    coalesce(copies.email_bcc, cast([] as varchar[])) as email_bcc,
    answers.sms_to,
    cast(to_json(struct_pack(
        name := accounts.name, contact := at_address.full_name,
        street := case when at_address.contact_key is null then accounts.street else at_address.street end,
        postal_code := case when at_address.contact_key is null then accounts.postal_code
            else at_address.postal_code end,
        city := case when at_address.contact_key is null then accounts.city else at_address.city end,
        state := case when at_address.contact_key is null then accounts.state else at_address.state end,
        country := coalesce(at_address.country, accounts.country)
    )) as varchar) as address,
    at_address.contact_key is not null or {{ is_postal('accounts') }} as has_address,
    answers.conflict_role is not null as has_conflict,
    'several contacts with the role ' || answers.conflict_role as conflict_text,
    '{"choices":' || coalesce('[' || array_to_string(answers.trace, ',') || ']', 'null')
        || ',"copies":' || coalesce('[' || array_to_string(copies.trace, ',') || ']', 'null') || '}' as trace,
    case when answers.email_to is null then answers.email_refusal end as email_blocked_reason,
    case when answers.sms_to is null then answers.sms_refusal end as sms_blocked_reason,
    coalesce(accounts.language, addressee.language) as language,
    coalesce(accounts.time_zone, addressee.time_zone) as time_zone,
    answers.email_contact_key,
    addressee.salutation, addressee.full_name as contact_name
from {{ ref('accounts') }} as accounts
left join answers on answers.account_key = accounts.account_key
left join copies on copies.account_key = accounts.account_key
left join {{ ref('contacts') }} as addressee on addressee.contact_key = answers.email_contact_key
left join {{ ref('contacts') }} as at_address on at_address.contact_key = answers.address_contact_key
