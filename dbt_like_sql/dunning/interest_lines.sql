-- Interest of each listed item: in all to the dunning date, billed earlier, and new; rounded once.
-- Grain: one row per item with interest. Minor units; calculation is the sheet as JSON.
with

sums as (

    select
        draft_key, invoice_key, instalment,
        any_value(denominator) as denominator,
        sum(cast(principal_minor as hugeint) * percent_e4 * days) as numerator,
        list_sort(list(struct_pack(
            from_day := cast(from_day as varchar), to_day := cast(to_day as varchar), days := days,
            principal := cast(principal as varchar), percent := cast(percent_e4 * 0.0001 as varchar),
            base_percent := cast(base_e4 * 0.0001 as varchar), source := source
        ))) as segments
    from {{ ref('interest_segments') }}
    where days > 0
    group by draft_key, invoice_key, instalment

),

billed as (

    select invoice_key, instalment, sum(billed_minor) as billed_minor
    from {{ ref('ledger_charges') }}
    where type = 'interest'
    group by invoice_key, instalment

),

totals as (

    select
        sums.*,
        {{ half_up('sums.numerator', 'sums.denominator') }} as total_minor,
        coalesce(billed.billed_minor, 0) as billed_minor
    from sums
    left join billed on billed.invoice_key = sums.invoice_key and billed.instalment = sums.instalment

)

select
    totals.draft_key, totals.invoice_key, totals.instalment, totals.total_minor, totals.billed_minor,
    cast(greatest(totals.total_minor - totals.billed_minor, 0) as bigint) as new_minor,
    cast(to_json(struct_pack(
        law := rules.law, party := rules.party, basis := rules.basis, rule := rules.rule, day_count := rules.day_count,
        total_minor := totals.total_minor, billed_minor := totals.billed_minor, segments := totals.segments
    )) as varchar) as calculation
from totals
inner join {{ ref('interest_rules') }} as rules
    on rules.invoice_key = totals.invoice_key
    and rules.instalment = totals.instalment
    and rules.draft_key = totals.draft_key
