-- How each listed item bears interest at its level: rate, day count, first day, and why it cannot be computed.
-- Grain: one row per listed item whose level charges interest.
with

ruled as (

    select
        items.draft_key, items.invoice_key, items.instalment, items.account_key, items.currency,
        items.effective_due_date + 1 as first_day,
        levels.interest_kind, levels.interest_law as law, levels.day_count,
        case levels.interest_kind when 'monthly' then 12 else 1 end * levels.interest_percent_e4 as agreed_e4,
        -- a consumer never pays the rate of a business, whatever the level says
        case
            when accounts.party_type = 'consumer' then 'consumer'
            else coalesce(levels.interest_party, processes.party, accounts.party_type, company.default_party)
        end as party
    from {{ ref('draft_items') }} as items
    inner join {{ source('policy', 'process_levels') }} as levels
        on levels.process_hash = items.process_hash and levels.level = items.listed_level
    inner join {{ source('policy', 'processes') }} as processes on processes.process_hash = items.process_hash
    left join {{ ref('accounts') }} as accounts on accounts.account_key = items.account_key
    cross join {{ source('policy', 'company') }} as company
    where levels.interest_kind is not null and items.phase = 'reminder'

),

legal as (

    select
        ruled.*,
        laws.rule, laws.basis, laws.known_until, margins.margin_e4,
        (
            select min(rates.valid_from)
            from {{ source('policy', 'law_rates') }} as rates
            where rates.law = ruled.law
        ) as known_from
    from ruled
    left join {{ source('policy', 'laws') }} as laws on laws.law = ruled.law
    left join {{ source('policy', 'law_margins') }} as margins
        on margins.law = ruled.law and margins.party = ruled.party

)

select
    *,
    case
        when interest_kind <> 'law' then null
        when rule is null then 'law_unknown'
        when rule = 'none' or margin_e4 is null then 'no_statutory_interest'
        when rule = 'floating' and {{ run_date() }} > known_until then 'rate_unknown'
        when rule = 'fixed_at_start' and first_day > known_until then 'rate_unknown'
        when first_day < known_from then 'rate_unknown'
    end as problem
from legal
