-- What a campaign changed: members that paid within 14 days, beside those that were held out on purpose.
-- Grain: one row per campaign, occurrence and is_held_out. Owner: collections.
with

occurrences as (

    select campaign, occurrence, cast(coalesce(started_at, planned_for) as date) as started_on
    from {{ source('ops', 'campaign_occurrences') }}
    where status not in ('planned', 'cancelled') and cast(coalesce(started_at, planned_for) as date) <= {{ run_date() }}

),

members as (

    select
        members.campaign,
        members.occurrence,
        occurrences.started_on,
        members.unified_account_id,
        members.is_held_out,
        members.outcome,
        -- a comparison counts an account once, however often the campaign comes round
        row_number() over (
            partition by members.campaign, members.unified_account_id
            order by occurrences.started_on, members.occurrence
        ) = 1 as is_first
    from {{ source('ops', 'campaign_members') }} as members
    inner join occurrences
        on occurrences.campaign = members.campaign and occurrences.occurrence = members.occurrence

),

clearings as (

    select links.unified_account_id, clearings.booked_on, clearings.amount
    from {{ ref('invoice_clearings') }} as clearings
    inner join {{ ref('invoices') }} as invoices on invoices.invoice_key = clearings.invoice_key
    inner join {{ ref('account_links') }} as links on links.account_key = invoices.account_key
    where clearings.kind <> 'credit'

),

payers as (

    select distinct members.campaign, members.occurrence, members.unified_account_id
    from members
    inner join clearings
        on clearings.unified_account_id = members.unified_account_id
        and clearings.booked_on between members.started_on and members.started_on + 14
        and clearings.amount > 0

),

effect as (

    select
        members.campaign,
        members.occurrence,
        members.started_on,
        members.is_held_out,
        count(*) as members,
        count(*) filter (where members.outcome = 'queued') as queued,
        count(payers.unified_account_id) as paid_within_14_days,
        cast(100 * count(payers.unified_account_id) as decimal(19, 4)) / count(*) as paid_percent,
        count(*) filter (where members.is_first) as new_members,
        count(payers.unified_account_id) filter (where members.is_first) as new_paid_within_14_days
    from members
    left join payers
        on payers.campaign = members.campaign
        and payers.occurrence = members.occurrence
        and payers.unified_account_id = members.unified_account_id
    group by members.campaign, members.occurrence, members.started_on, members.is_held_out

)

select * from effect
