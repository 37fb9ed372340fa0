-- Accounts that are late for the first time: overdue now, and each earlier invoice was cleared by its due date.
-- Owner: collections. Grain: one row per unified_account_id.
with

overdue as (

    select distinct unified_account_id
    from {{ ref('unified_open_items') }}
    where days_overdue > 0

),

paid_late as (

    select distinct links.unified_account_id
    from {{ ref('items') }} as items
    inner join {{ ref('account_links') }} as links on links.account_key = items.account_key
    where items.open_amount <= 0 and items.last_cleared_on > items.due_date

),

reminded as (

    select distinct links.unified_account_id
    from {{ ref('reached_levels') }} as levels
    inner join {{ ref('invoices') }} as invoices on invoices.invoice_key = levels.invoice_key
    inner join {{ ref('account_links') }} as links on links.account_key = invoices.account_key

),

members as (

    select overdue.unified_account_id
    from overdue
    anti join paid_late on paid_late.unified_account_id = overdue.unified_account_id
    anti join reminded on reminded.unified_account_id = overdue.unified_account_id

)

select * from members
