-- Open items with the unified account that owes them: what segments are made of.
-- Grain: one row per invoice_key and instalment; overdue where days_overdue > 0. Owner: collections.
with

links as (

    select account_key, unified_account_id
    from {{ ref('account_links') }}

),

rates as (

    select currency, rate
    from {{ ref('reporting_rates') }}

),

items as (

    select
        links.unified_account_id,
        items.*,
        -- null where no rate is known: such an amount counts in no threshold
        cast(items.open_amount * rates.rate as decimal(19, 4)) as open_amount_reporting
    from {{ ref('open_items') }} as items
    inner join links on links.account_key = items.account_key
    left join rates on rates.currency = items.currency

)

select * from items
