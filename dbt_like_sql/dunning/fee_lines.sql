-- The fee of each proposed statement by its level, or of each advancing item where the process says so.
-- Grain: one row per draft_key (and item). Minor units. Per cent of principal only, never of earlier charges.
with

items as (

    select
        items.*,
        -- DE: the first reminder to a consumer only creates default and carries no fee (§ 286, § 288 BGB)
        coalesce(accounts.party_type, processes.party, company.default_party) = 'consumer'
            and coalesce(accounts.country, company.country) = 'DE' as must_be_in_default,
        items.listed_reason <> 'listed' and items.last_level is not null
            and not coalesce(statements.do_not_send, false) as was_reminded
    from {{ ref('draft_items') }} as items
    cross join {{ source('policy', 'company') }} as company
    left join {{ ref('accounts') }} as accounts on accounts.account_key = items.account_key
    left join {{ source('policy', 'processes') }} as processes on processes.process_hash = items.process_hash
    left join {{ source('ops', 'statements') }} as statements on statements.statement_id = items.last_statement_id

),

drafts as (

    select draft_key, process_hash, draft_level, currency, sum(open_amount) as principal
    from items
    group by draft_key, process_hash, draft_level, currency
    having bool_or(was_reminded or not must_be_in_default)

),

bases as (

    select
        drafts.draft_key, drafts.process_hash, levels.level, drafts.currency, levels.fee_percent_e4,
        cast(null as varchar) as invoice_key, cast(null as integer) as instalment, drafts.principal
    from drafts
    inner join {{ source('policy', 'process_levels') }} as levels
        on levels.process_hash = drafts.process_hash and levels.level = drafts.draft_level
    where levels.has_fee and levels.fee_per = 'statement'

    union all

    select
        items.draft_key, items.process_hash, levels.level, items.currency, levels.fee_percent_e4,
        items.invoice_key, items.instalment, items.open_amount
    from items
    inner join {{ source('policy', 'process_levels') }} as levels
        on levels.process_hash = items.process_hash and levels.level = items.listed_level
    where levels.has_fee and levels.fee_per = 'item' and items.listed_reason <> 'listed'
        and (items.was_reminded or not items.must_be_in_default)

),

priced as (

    select
        bases.*, amounts.amount, amounts.rate, amounts.rate_date, amounts.declared_currency, amounts.declared_amount,
        case
            when bases.fee_percent_e4 is null then {{ to_minor('amounts.amount', 'currencies.e4_per_minor') }}
            else {{ half_up(
                to_minor('bases.principal', 'currencies.e4_per_minor') ~ ' * bases.fee_percent_e4', '1000000'
            ) }}
        end as amount_minor
    from bases
    inner join {{ source('policy', 'currencies') }} as currencies on currencies.currency = bases.currency
    left join {{ ref('thresholds') }} as amounts
        on amounts.process_hash = bases.process_hash
        and amounts.level = bases.level
        and amounts.kind = 'fee'
        and amounts.currency = bases.currency

)

select
    draft_key, level, invoice_key, instalment, amount_minor,
    cast(to_json(struct_pack(
        percent := cast(fee_percent_e4 * 0.0001 as varchar),
        base := case when fee_percent_e4 is not null then 'open_principal' end,
        principal := case when fee_percent_e4 is not null then cast(principal as varchar) end,
        declared := case when fee_percent_e4 is null then cast(declared_amount as varchar) || ' ' || declared_currency end,
        exchange_rate := cast(rate as varchar), rate_date := cast(rate_date as varchar)
    )) as varchar) as calculation
from priced
where amount_minor is null or amount_minor > 0
