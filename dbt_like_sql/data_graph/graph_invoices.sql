-- The open invoices of each bill group with their lines and instalments, the oldest first.
-- Grain: one row per account_key and bill_group_key. Owner: collections. Amounts are decimal strings, dates ISO.
{{ config(materialized='view') }}
with

items as (

    select * from {{ ref('open_items') }} where {{ in_slice('account_key') }}

),

lines as (

    select
        lines.invoice_key,
        list_sort(list(struct_pack(
            line_number := lines.line_number, description := lines.description,
            quantity := rtrim(rtrim(cast(lines.quantity as varchar), '0'), '.'),
            amount := {{ amount_text('lines.amount', 'invoices.currency') }}
        ))) as lines
    from {{ ref('invoice_lines') }} as lines
    inner join {{ ref('invoices') }} as invoices on invoices.invoice_key = lines.invoice_key
    where lines.invoice_key in (select invoice_key from items)
    group by lines.invoice_key

),

parts as (

    select
        account_key, bill_group_key, invoice_key, due_date, days_overdue, open_amount, is_disputed, is_promised,
        last_level, is_instalment,
        struct_pack(
            instalment := instalment, due_date := due_date, days_overdue := days_overdue,
            original_amount := {{ amount_text('original_amount', 'currency') }},
            open_amount := {{ amount_text('open_amount', 'currency') }}
        ) as part
    from items

),

invoices as (

    -- nearly all invoices are one part: only those of a plan are worth a group
    select
        account_key, bill_group_key, invoice_key, due_date, days_overdue, open_amount, is_disputed, is_promised,
        last_level, [part] as instalments
    from parts
    where not is_instalment

    union all

    select
        account_key, bill_group_key, invoice_key, min(due_date), max(days_overdue), sum(open_amount),
        bool_or(is_disputed), bool_or(is_promised), max(last_level), list_sort(list(part))
    from parts
    where is_instalment
    group by account_key, bill_group_key, invoice_key

),

graphs as (

    select
        items.account_key,
        items.bill_group_key,
        -- sorted as JSON texts, which begin with the key: lists of structs cost twice as much
        list_sort(list(to_json(struct_pack(
            due_date := items.due_date, invoice_key := items.invoice_key, account_key := items.account_key,
            invoice_id := invoices.invoice_id, invoice_number := invoices.invoice_number,
            invoice_date := invoices.invoice_date, currency := invoices.currency, legal_entity := invoices.legal_entity,
            total_amount := {{ amount_text('invoices.total_amount', 'invoices.currency') }},
            open_amount := {{ amount_text('items.open_amount', 'invoices.currency') }},
            days_overdue := items.days_overdue, is_disputed := items.is_disputed, is_promised := items.is_promised,
            last_level := items.last_level, reference := invoices.reference, description := invoices.description,
            payment_link := invoices.payment_link, lines := lines.lines, instalments := items.instalments
        )))) as invoices
    from invoices as items
    inner join {{ ref('invoices') }} as invoices on invoices.invoice_key = items.invoice_key
    left join lines on lines.invoice_key = items.invoice_key
    group by items.account_key, items.bill_group_key

)

select * from graphs
