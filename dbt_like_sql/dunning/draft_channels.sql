-- By which channels a proposed statement can leave: what the level asks for, less what nobody can receive.
-- Grain: one row per draft_key. Missing recipients remove channels, not the debt: a letter, or a draft that is held.
with

drafts as (

    select distinct draft_key, account_key, process_hash, draft_level
    from {{ ref('draft_items') }}
    union all
    select draft_key, account_key, process_hash, draft_level
    from {{ ref('charge_drafts') }}

),

wanted as (

    select
        drafts.*, levels.do_not_send,
        levels.channels like '%"email"%' as wants_email,
        levels.channels like '%"sms"%' as wants_sms,
        levels.channels like '%"letter"%' as wants_letter,
        levels.channels like '%"payment_retry"%' as wants_payment_retry,
        levels.channels like '%"task"%' as wants_task,
        coalesce(len(recipients.email_to) > 0, false) as has_email,
        recipients.sms_to is not null and recipients.sms_blocked_reason is null as has_sms,
        coalesce(recipients.has_address, false) as has_address,
        coalesce(recipients.has_conflict, false) as has_conflict,
        recipients.conflict_text, recipients.email_blocked_reason, recipients.sms_blocked_reason
    from drafts
    inner join {{ source('policy', 'process_levels') }} as levels
        on levels.process_hash = drafts.process_hash and levels.level = drafts.draft_level
    left join {{ ref('account_recipients') }} as recipients on recipients.account_key = drafts.account_key

),

reachable as (

    select
        *,
        wants_email and has_email as by_email,
        wants_sms and has_sms as by_sms,
        (wants_letter and has_address)
            or (has_address and (wants_email or wants_sms)
                and not (wants_email and has_email) and not (wants_sms and has_sms)) as by_letter
    from wanted

)

select
    draft_key,
    '[' || concat_ws(
        ',',
        case when by_email then '"email"' end,
        case when by_sms then '"sms"' end,
        case when by_letter then '"letter"' end,
        case when wants_payment_retry then '"payment_retry"' end,
        case when wants_task then '"task"' end
    ) || ']' as channels,
    case
        when do_not_send then null
        when has_conflict then 'recipient_conflict: ' || conflict_text
        when (wants_email or wants_sms or wants_letter) and not by_email and not by_sms and not by_letter
            then 'no_recipient' || coalesce(': ' || coalesce(email_blocked_reason, sms_blocked_reason), '')
    end as hold_reason
from reachable
