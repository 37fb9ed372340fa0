-- Every item as of the dunning date, paid or not: an invoice, or one instalment where a plan was agreed.
-- Grain: one row per invoice_key and instalment. Money without an instalment closes the earliest one first.
with

cleared as (

    select
        invoice_key,
        sum(amount) as amount,
        max(value_date) as last_cleared_on
    from {{ ref('invoice_clearings') }}
    group by invoice_key

),

invoices as (

    select
        invoices.*,
        cleared.last_cleared_on,
        invoices.total_amount + coalesce(invoices.adjustment_amount, 0) - coalesce(invoices.written_off_amount, 0)
            - coalesce(cleared.amount, 0) as invoice_open
    from {{ ref('invoices') }} as invoices
    left join cleared on cleared.invoice_key = invoices.invoice_key

),

cleared_by_name as (

    select schedule_item_key, sum(amount) as amount
    from {{ ref('invoice_clearings') }}
    where schedule_item_key is not null
    group by schedule_item_key

),

instalments as (

    select
        instalments.*,
        greatest(instalments.amount - coalesce(cleared_by_name.amount, 0), 0) as remaining
    from {{ ref('instalments') }} as instalments
    left join cleared_by_name on cleared_by_name.schedule_item_key = instalments.schedule_item_key

),

running as (

    select
        *,
        sum(remaining) over (partition by invoice_key) as remaining_in_all,
        sum(remaining) over (
            partition by invoice_key order by instalment rows between unbounded preceding and current row
        ) as remaining_so_far,
        max(instalment) over (partition by invoice_key) as last_instalment
    from instalments

),

items as (

    select
        invoices.*,
        cast(running.instalment as integer) as instalment,
        running.last_instalment is not null as is_instalment,
        coalesce(running.due_date, invoices.due_date) as item_due_date,
        coalesce(running.amount, invoices.total_amount) as original_amount,
        -- pool = remaining_in_all - invoice_open: cleared without a name; what exceeds the last part stays negative
        case
            when running.instalment is null then invoices.invoice_open
            when running.instalment = running.last_instalment and invoices.invoice_open < 0 then invoices.invoice_open
            else greatest(0, least(
                running.remaining, running.remaining_so_far - (running.remaining_in_all - invoices.invoice_open)
            ))
        end as open_amount
    from invoices
    left join running on running.invoice_key = invoices.invoice_key

)

select
    invoice_key, coalesce(instalment, 1) as instalment, is_instalment, source, invoice_id, invoice_number, account_key,
    coalesce(bill_group_key, account_key) as bill_group_key, legal_entity, currency,
    case when invoice_date > {{ run_date() }} then 'not_yet_issued' else status end as status,
    invoice_date, item_due_date as due_date, case when not is_instalment then postponed_due_date end as postponed_due_date,
    cast(original_amount as decimal(19, 4)) as original_amount, cast(open_amount as decimal(19, 4)) as open_amount,
    last_cleared_on, is_disputed, prevent_dunning
from items
