-- What each billing account paid in the last twelve months, and the credits that are left to it.
-- Grain: one row per account_key. Owner: collections. Amounts are decimal strings, dates ISO.
{{ config(materialized='view') }}
with

payments as (

    select
        account_key,
        -- sorted as JSON texts, which begin with the key: lists of structs cost twice as much
        list_sort(list(to_json(struct_pack(
            payment_date := payment_date,
            payment_key := payment_key,
            payment_number := payment_number,
            currency := currency,
            amount := {{ amount_text('amount', 'currency') }}
        )))) as payments
    from {{ ref('payments') }}
    where payment_date between {{ run_date() }} - 365 and {{ run_date() }}
        and coalesce(status, 'processed') = 'processed'
        and account_key is not null and {{ in_slice('account_key') }}
    group by account_key

),

applied as (

    select
        credit_memo_key,
        sum(case when application_type = 'unapplied' then -amount else amount end) as amount
    from {{ ref('credit_applications') }}
    where effective_date is null or effective_date <= {{ run_date() }}
    group by credit_memo_key

),

open_credits as (

    select memos.*, memos.total_amount - coalesce(applied.amount, 0) as open_amount
    from {{ ref('credit_memos') }} as memos
    left join applied on applied.credit_memo_key = memos.credit_memo_key
    where memos.status = 'posted' and {{ in_slice('memos.account_key') }}
        and (memos.credit_date is null or memos.credit_date <= {{ run_date() }})
        and memos.total_amount > coalesce(applied.amount, 0)

),

credits as (

    select
        account_key,
        list_sort(list(struct_pack(
            credit_date := credit_date,
            credit_memo_key := credit_memo_key,
            credit_memo_number := credit_memo_number,
            currency := currency,
            open_amount := {{ amount_text('open_amount', 'currency') }}
        ))) as credits
    from open_credits
    where account_key is not null
    group by account_key

),

graphs as (

    select
        coalesce(payments.account_key, credits.account_key) as account_key,
        payments.payments,
        credits.credits
    from payments
    full join credits on credits.account_key = payments.account_key

)

select * from graphs
