-- Credits as lines of the proposed statements: deducted, or only noted where netting is `ignore`.
-- Grain: one row per draft_key and credit. Integer minor units of the statement's currency, negative or 0.
with

deducted as (

    select
        credits.draft_key,
        -{{ to_minor('credits.amount', 'drafts.e4_per_minor') }} as amount_minor,
        credits.reference,
        cast(null as varchar) as calculation
    from {{ ref('draft_credits') }} as credits
    inner join (
        select distinct items.draft_key, currencies.e4_per_minor
        from {{ ref('draft_items') }} as items
        inner join {{ source('policy', 'currencies') }} as currencies on currencies.currency = items.currency
    ) as drafts on drafts.draft_key = credits.draft_key

),

-- netting `ignore`: credits are noted and change nothing
noted as (

    select
        drafts.draft_key,
        0 as amount_minor,
        credits.reference,
        cast(to_json(struct_pack(not_deducted := cast(credits.amount as varchar))) as varchar) as calculation
    from {{ ref('open_credits') }} as credits
    inner join (
        select distinct draft_key, account_key, entity, currency
        from {{ ref('draft_items') }}
        where netting = 'ignore' and phase = 'reminder'
    ) as drafts
        on drafts.account_key = credits.account_key
        and drafts.entity = credits.entity
        and drafts.currency = credits.currency

)

select * from deducted
union all
select * from noted
