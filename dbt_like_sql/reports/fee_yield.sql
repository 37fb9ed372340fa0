-- What charges bring in: fees, interest and lump sums charged, reversed, waived and paid.
-- Grain: one row per type and currency. Owner: finance.
with

charges as (

    select posting_id, type, currency, amount_minor
    from {{ source('ops', 'postings') }}
    where type in ('fee', 'interest', 'compensation') and posted_on <= {{ run_date() }}

),

answers as (

    select reverses as posting_id, type, amount_minor
    from {{ source('ops', 'postings') }}
    where type in ('reversal', 'waiver', 'payment') and posted_on <= {{ run_date() }}

),

answered as (

    select
        posting_id,
        sum(amount_minor) filter (where type = 'reversal') as reversed_minor,
        sum(amount_minor) filter (where type = 'waiver') as waived_minor,
        sum(amount_minor) filter (where type = 'payment') as paid_minor
    from answers
    group by posting_id

),

yield as (

    select
        charges.type,
        charges.currency,
        count(*) as charges,
        {{ from_minor('sum(charges.amount_minor)', 'charges.currency') }} as charged,
        {{ from_minor('-coalesce(sum(answered.reversed_minor), 0)', 'charges.currency') }} as reversed,
        {{ from_minor('-coalesce(sum(answered.waived_minor), 0)', 'charges.currency') }} as waived,
        {{ from_minor('-coalesce(sum(answered.paid_minor), 0)', 'charges.currency') }} as paid
    from charges
    left join answered on answered.posting_id = charges.posting_id
    group by charges.type, charges.currency

)

select * from yield
order by type, currency
