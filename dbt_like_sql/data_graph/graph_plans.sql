-- The collection plans of each billing account with the invoices that they name.
-- Grain: one row per account_key. Owner: collections. Amounts are decimal strings, dates ISO.
{{ config(materialized='view') }}
with

items as (

    select
        items.plan_key,
        list_sort(list(struct_pack(
            invoice_key := items.invoice_key,
            invoice_number := invoices.invoice_number,
            amount := {{ amount_text('items.amount', 'invoices.currency') }}
        ))) as items
    from {{ ref('collection_plan_items') }} as items
    inner join {{ ref('collection_plans') }} as plans on plans.plan_key = items.plan_key
    -- an item that points to another account's invoice is not shown
    inner join {{ ref('invoices') }} as invoices
        on invoices.invoice_key = items.invoice_key and invoices.account_key = plans.account_key
    group by items.plan_key

),

plans as (

    select
        plans.account_key,
        list_sort(list(struct_pack(
            plan_due_date := plans.plan_due_date,
            plan_key := plans.plan_key,
            plan_id := plans.plan_id,
            name := plans.name,
            status := plans.status,
            risk := plans.risk,
            currency := plans.currency,
            amount := {{ amount_text('plans.amount', 'plans.currency') }},
            owner := plans.owner,
            items := items.items
        ))) as plans
    from {{ ref('collection_plans') }} as plans
    left join items on items.plan_key = plans.plan_key
    where plans.account_key is not null and (plans.created_on is null or plans.created_on <= {{ run_date() }})
    group by plans.account_key

)

select * from plans
