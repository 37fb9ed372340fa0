-- The statutory lump sum of each listed item, once per late payment, owed by businesses only.
-- Grain: one row per item. Minor units.
with

items as (

    select
        items.draft_key, items.invoice_key, items.instalment, items.currency, items.original_amount,
        levels.level, levels.compensation_law as law
    from {{ ref('draft_items') }} as items
    inner join {{ source('policy', 'process_levels') }} as levels
        on levels.process_hash = items.process_hash and levels.level = items.listed_level
    left join {{ ref('accounts') }} as accounts on accounts.account_key = items.account_key
    left join {{ source('policy', 'processes') }} as processes on processes.process_hash = items.process_hash
    cross join {{ source('policy', 'company') }} as company
    where levels.compensation_law is not null
        and items.phase = 'reminder'
        and coalesce(accounts.party_type, processes.party, company.default_party) = 'business'

),

billed as (

    select distinct invoice_key, instalment
    from {{ ref('ledger_charges') }}
    where type = 'compensation' and billed_minor > 0

),

offered as (

    select
        items.*, lumps.currency as lump_currency, lumps.amount as lump_amount, lumps.from_amount,
        case when lumps.currency = items.currency then 1 else rates.numerator end as numerator,
        case when lumps.currency = items.currency then 1 else rates.denominator end as denominator,
        rates.rate_date
    from items
    inner join {{ source('policy', 'lump_sums') }} as lumps on lumps.law = items.law and lumps.party = 'business'
    left join {{ ref('exchange_rates') }} as rates on rates.base = lumps.currency and rates.quote = items.currency
    where not exists (
        select 1 from billed where billed.invoice_key = items.invoice_key and billed.instalment = items.instalment
    )

),

chosen as (

    select *
    from offered
    where numerator is null or original_amount * denominator >= from_amount * numerator
    qualify row_number() over (partition by invoice_key, instalment order by from_amount desc) = 1

)

select
    chosen.draft_key, chosen.invoice_key, chosen.instalment, chosen.level,
    {{ half_up('chosen.lump_amount * 10000 * chosen.numerator', 'chosen.denominator * currencies.e4_per_minor') }}
        as amount_minor,
    cast(to_json(struct_pack(
        law := chosen.law, declared := cast(chosen.lump_amount as varchar) || ' ' || chosen.lump_currency,
        rate_date := cast(chosen.rate_date as varchar)
    )) as varchar) as calculation
from chosen
inner join {{ source('policy', 'currencies') }} as currencies on currencies.currency = chosen.currency
