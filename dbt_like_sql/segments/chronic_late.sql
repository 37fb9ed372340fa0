-- Accounts that are overdue and pay late as a habit: three items or more late in the last twelve months.
-- Owner: collections. Grain: one row per unified_account_id.
with

late_items as (

    select links.unified_account_id, items.open_amount
    from {{ ref('items') }} as items
    inner join {{ ref('account_links') }} as links on links.account_key = items.account_key
    where items.status = 'posted'
        and items.due_date between {{ run_date() }} - 365 and {{ run_date() }} - 1
        and (items.open_amount > 0 or items.last_cleared_on > items.due_date)

),

members as (

    select unified_account_id
    from late_items
    group by unified_account_id
    having count(*) >= 3 and bool_or(open_amount > 0)

)

select * from members
