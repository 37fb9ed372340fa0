-- Accounts that are overdue and have neither an e-mail address nor a phone number anywhere: letters only.
-- Owner: data-platform. Grain: one row per unified_account_id.
with

overdue as (

    select distinct unified_account_id
    from {{ ref('unified_open_items') }}
    where days_overdue > 0

),

reachable as (

    select links.unified_account_id
    from {{ ref('accounts') }} as accounts
    inner join {{ ref('account_links') }} as links on links.account_key = accounts.account_key
    where accounts.email is not null or accounts.phone is not null

    union all

    select links.unified_account_id
    from {{ ref('contacts') }} as contacts
    inner join {{ ref('account_links') }} as links on links.account_key = contacts.account_key
    where contacts.email is not null or contacts.phone is not null or contacts.mobile_phone is not null

),

members as (

    select overdue.unified_account_id
    from overdue
    anti join reachable on reachable.unified_account_id = overdue.unified_account_id

)

select * from members
