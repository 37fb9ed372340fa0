-- The lines of the proposed statements; their sum is what is asked for.
-- Grain: one row per draft_key and position. Integer minor units of the statement's currency.
with

items as (

    select items.*, {{ to_minor('items.open_amount', 'currencies.e4_per_minor') }} as open_minor,
        {{ to_minor('items.original_amount', 'currencies.e4_per_minor') }} as original_minor
    from {{ ref('draft_items') }} as items
    inner join {{ source('policy', 'currencies') }} as currencies on currencies.currency = items.currency

),

lines as (

    select
        draft_key, 1 as rank, 'invoice' as type, invoice_key, instalment, listed_level as level,
        open_minor as amount_minor, cast(null as varchar) as reference, cast(null as varchar) as calculation
    from items

    union all

    select draft_key, 2, 'interest', invoice_key, instalment, null, new_minor, null, calculation
    from {{ ref('interest_lines') }}
    where new_minor > 0

    union all

    select
        draft_key, case when type = 'interest' then 3 else 6 end,
        case when type = 'interest' then 'carried_interest' else 'carried_fee' end,
        invoice_key, case when invoice_key is not null then instalment end, level, cast(sum(unpaid_minor) as bigint),
        case when type <> 'interest' then statement_id end, null
    from {{ ref('carried_charges') }}
    group by
        draft_key, type, invoice_key, instalment, case when type <> 'interest' then level end, level,
        case when type <> 'interest' then statement_id end

    union all

    select draft_key, 4, 'compensation', invoice_key, instalment, level, amount_minor, null, calculation
    from {{ ref('compensation_lines') }}
    where amount_minor > 0

    union all

    select draft_key, 5, 'fee', invoice_key, instalment, level, amount_minor, null, calculation
    from {{ ref('fee_lines') }}
    where amount_minor > 0

    union all

    select draft_key, 7, 'credit', null, null, null, amount_minor, reference, calculation
    from {{ ref('credit_lines') }}

),

-- charges of an invoice that is paid name it all the same
charged as (

    select invoice_key, invoice_id, invoice_number
    from {{ ref('invoices') }}
    where invoice_key in (select invoice_key from {{ ref('carried_charges') }} where invoice_key is not null)

),

described as (

    select
        lines.*, coalesce(items.invoice_id, charged.invoice_id) as invoice_id,
        coalesce(items.invoice_number, charged.invoice_number) as invoice_number, items.effective_due_date as due_date, items.days_overdue,
        case when lines.type = 'invoice' then items.original_minor end as original_minor,
        case when lines.type = 'invoice' then items.open_minor end as open_minor,
        case when lines.type = 'invoice' then items.advances end as advances
    from lines
    left join items
        on items.draft_key = lines.draft_key
        and items.invoice_key = lines.invoice_key
        and items.instalment = lines.instalment
    left join charged on charged.invoice_key = lines.invoice_key

)

select
    draft_key,
    cast(row_number() over (
        partition by draft_key order by rank, due_date nulls last, invoice_number, invoice_key, instalment, level, reference
    ) as integer) as position,
    type, invoice_key, invoice_id, invoice_number, instalment, level, due_date, days_overdue, original_minor, open_minor,
    amount_minor, advances, reference, calculation
from described
