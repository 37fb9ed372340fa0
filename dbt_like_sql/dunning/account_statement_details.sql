-- The lines of account statements: every open item of an account, its credits and its unpaid charges; no level, no fee.
-- Grain: one row per draft_key and position. Integer minor units.
with

items as (

    select
        'account|' || items.account_key || '|' || coalesce(items.legal_entity, '') || '|' || items.currency as draft_key,
        items.*, currencies.e4_per_minor
    from {{ ref('open_items') }} as items
    inner join {{ source('policy', 'currencies') }} as currencies on currencies.currency = items.currency
    left join {{ ref('duplicate_invoices') }} as duplicates on duplicates.invoice_key = items.invoice_key
    where duplicates.invoice_key is null

),

lines as (

    select
        draft_key, 1 as rank, 'invoice' as type, invoice_key, invoice_id, invoice_number, instalment,
        effective_due_date as due_date, days_overdue,
        {{ to_minor('original_amount', 'e4_per_minor') }} as original_minor,
        {{ to_minor('open_amount', 'e4_per_minor') }} as open_minor,
        {{ to_minor('open_amount', 'e4_per_minor') }} as amount_minor,
        cast(null as varchar) as reference
    from items

    union all

    select
        'account|' || account_key || '|' || entity || '|' || currency,
        case when type = 'interest' then 2 else 3 end,
        case when type = 'interest' then 'carried_interest' else 'carried_fee' end,
        invoice_key, null, null, case when invoice_key is not null then instalment end, null, null, null, null,
        unpaid_minor, statement_id
    from {{ ref('ledger_charges') }}
    where unpaid_minor > 0
        and posting_id not in (select posting_id from {{ ref('settled_charges') }} where treatment <> 'claim')

    union all

    select
        'account|' || credits.account_key || '|' || credits.entity || '|' || credits.currency, 4, 'credit',
        null, null, null, null, null, null, null, null,
        -{{ to_minor('credits.amount', 'currencies.e4_per_minor') }}, credits.reference
    from {{ ref('open_credits') }} as credits
    inner join {{ source('policy', 'currencies') }} as currencies on currencies.currency = credits.currency

)

select
    draft_key,
    cast(row_number() over (
        partition by draft_key order by rank, due_date, invoice_number, invoice_key, instalment, reference, amount_minor
    ) as integer) as position,
    type, invoice_key, invoice_id, invoice_number, instalment, cast(null as integer) as level, due_date, days_overdue,
    original_minor, open_minor, amount_minor, cast(null as boolean) as advances, reference,
    cast(null as varchar) as calculation
from lines
where draft_key in (select draft_key from items)
