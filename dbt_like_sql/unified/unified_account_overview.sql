-- One line per unified account: its position over all currencies, what waterfalls rank and group by.
-- Grain: one row per unified_account_id; amounts in the reporting currency. Owner: collections.
with

accounts as (

    select unified_account_id, name
    from {{ ref('unified_accounts') }}

),

members as (

    select
        links.unified_account_id,
        min(accounts.country) as country,
        min(accounts.owner) as owner,
        min(accounts.party_type) as party_type,
        bool_or(coalesce(accounts.prevent_dunning, false)) as has_prevented_account
    from {{ ref('account_links') }} as links
    inner join {{ ref('accounts') }} as accounts on accounts.account_key = links.account_key
    group by links.unified_account_id

),

positions as (

    select
        unified_account_id,
        sum(open_items) as open_items,
        sum(overdue_items) as overdue_items,
        sum(overdue_amount_reporting) as overdue_amount,
        max(oldest_days_overdue) as oldest_days_overdue,
        count(*) as currencies
    from {{ ref('unified_positions') }}
    group by unified_account_id

),

overview as (

    select
        accounts.unified_account_id,
        accounts.name,
        members.country,
        members.owner,
        members.party_type,
        coalesce(members.has_prevented_account, false) as has_prevented_account,
        cast(coalesce(positions.open_items, 0) as bigint) as open_items,
        cast(coalesce(positions.overdue_items, 0) as bigint) as overdue_items,
        cast(coalesce(positions.overdue_amount, 0) as decimal(19, 4)) as overdue_amount,
        greatest(coalesce(positions.oldest_days_overdue, 0), 0) as oldest_days_overdue,
        coalesce(positions.currencies, 0) as currencies
    from accounts
    left join members on members.unified_account_id = accounts.unified_account_id
    left join positions on positions.unified_account_id = accounts.unified_account_id

)

select * from overview
