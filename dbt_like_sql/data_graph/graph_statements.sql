-- The statements that each bill group has got so far, the oldest first.
-- Grain: one row per account_key and bill_group_key. Owner: collections. Amounts are decimal strings, dates ISO.
with

statements as (

    select
        account_key,
        bill_group_key,
        list_sort(list(struct_pack(
            dunning_date := dunning_date,
            number := number,
            kind := kind,
            level := level,
            level_name := level_name,
            currency := currency,
            please_pay := {{ amount_text(from_minor('please_pay_minor', 'currency'), 'currency') }},
            deadline := due_date
        ))) as statements
    from {{ source('ops', 'statements') }}
    where status = 'closed' and dunning_date <= {{ run_date() }}
    group by account_key, bill_group_key

)

select * from statements
