-- Accounts that owe more than an amount for longer than some days, in one country or everywhere: fill in your own.
-- Owner: collections. Grain: one row per unified_account_id. Kind: custom.
{{ config(meta={
    'kind': 'custom',
    'parameters': {
        'minimum_amount': {'type': 'decimal', 'description': 'overdue in the reporting currency, at least'},
        'minimum_days': {'type': 'integer', 'description': 'days that the oldest item is overdue, at least'},
        'country': {'type': 'text', 'description': 'country of the account; any = all of them'}
    }
}) }}
with

accounts as (

    select unified_account_id, country, overdue_amount, oldest_days_overdue
    from {{ ref('unified_account_overview') }}

),

members as (

    select unified_account_id
    from accounts
    where overdue_amount >= {{ var('minimum_amount', 1000) }}
        and oldest_days_overdue >= {{ var('minimum_days', 30) }}
        and ('{{ var("country", "any") }}' = 'any' or country = '{{ var("country", "any") }}')

)

select * from members
