-- What a person must look at before these items can be dunned rightly.
-- Grain: one row per kind and object. Raised once while it is open.
with

found as (

    select
        'duplicate_invoice' as kind, 'error' as severity, 'invoice' as object_kind, duplicates.invoice_key as object_id,
        'invoice ' || duplicates.invoice_number || ' comes from several sources; it is held' as message
    from {{ ref('duplicate_invoices') }} as duplicates

    union all

    select distinct
        'process_unknown', 'error', 'bill_group', bill_group_key,
        'the process ' || process || ' does not exist; the bill group is held'
    from {{ ref('bill_group_assignments') }}
    where problem = 'process_unknown'

    union all

    select
        'unknown_currency', 'error', 'invoice', invoice_key,
        'the currency ' || currency || ' is unknown; the item is held'
    from {{ ref('item_verdicts') }}
    where item_reason = 'unknown_currency' and instalment = 1

    union all

    -- one rate ends it for thousands of invoices
    select distinct
        'rate_missing', 'error', 'currency', currency,
        'no exchange rate for ' || currency || '; its items are held until inbox/fx/rates.csv has one'
    from {{ ref('item_verdicts') }}
    where item_reason = 'rate_missing'

    union all

    select
        'account_unknown', 'error', 'account', account_key,
        'no source delivers this account; its open invoices are held: '
            || cast(count(distinct invoice_key) as varchar)
    from {{ ref('item_verdicts') }}
    where item_reason = 'account_unknown'
    group by account_key

    union all

    select
        'interest_' || problem, 'warning', 'invoice', invoice_key,
        'no interest: the rate of ' || law || ' is ' || case when problem = 'law_unknown' then 'not declared'
            else 'known until ' || coalesce(cast(known_until as varchar), 'no date') || ' only' end
    from {{ ref('interest_rules') }}
    where problem in ('law_unknown', 'rate_unknown') and instalment = 1

    union all

    select
        'due_before_invoice', 'warning', 'invoice', invoice_key,
        'due on ' || cast(due_date as varchar) || ', before its date ' || cast(invoice_date as varchar)
    from {{ ref('open_items') }}
    where due_date < invoice_date and instalment = 1

    union all

    select
        'balance_differs', 'info', 'invoice', items.invoice_key,
        'the source says ' || cast(any_value(invoices.source_balance) as varchar) || ' '
            || any_value(items.currency) || ' is open, the entries say ' || cast(sum(items.open_amount) as varchar) || ' '
            || any_value(items.currency)
    from {{ ref('items') }} as items
    inner join {{ ref('invoices') }} as invoices on invoices.invoice_key = items.invoice_key
    where items.status = 'posted' and invoices.source_balance is not null
    group by items.invoice_key
    having sum(items.open_amount) <> any_value(invoices.source_balance)

)

select kind, severity, object_kind, object_id, min(message) as message
from found
group by kind, severity, object_kind, object_id
