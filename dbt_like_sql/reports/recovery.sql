-- What dunning brings in: the principal that was reminded at each level, and how much of it was cleared afterwards.
-- Grain: one row per process, level and currency. Owner: collections.
-- Cleared counts from the day the statement was sent, at most what was open then, and only while no later level was
-- sent: each euro counts for the last reminder before it came.
with

reached as (

    select invoice_key, instalment, statement_id, process, level, sent_on
    from {{ source('ops', 'item_levels') }}
    where event = 'reached' and not is_before_due and sent_on <= {{ run_date() }}
    -- one that bounced and was sent another way is one reminder, the later one
    qualify row_number() over (partition by statement_id, invoice_key, instalment order by sent_on desc) = 1

),

periods as (

    select
        *,
        coalesce(lead(sent_on) over (partition by invoice_key, instalment order by sent_on, level), {{ run_date() }})
            as until
    from reached

),

reminded as (

    select
        periods.*,
        details.currency,
        details.open_amount
    from periods
    inner join {{ ref('statement_lines') }} as details
        on details.statement_id = periods.statement_id
        and details.invoice_key = periods.invoice_key
        and details.instalment = periods.instalment

),

cleared as (

    select
        reminded.statement_id,
        reminded.invoice_key,
        reminded.instalment,
        sum(clearings.amount) as amount,
        min(clearings.booked_on) as first_booked_on
    from reminded
    inner join {{ ref('invoice_clearings') }} as clearings
        on clearings.invoice_key = reminded.invoice_key
        and clearings.booked_on >= reminded.sent_on
        and (clearings.booked_on < reminded.until or reminded.until = {{ run_date() }})
        and clearings.kind <> 'credit'
    group by reminded.statement_id, reminded.invoice_key, reminded.instalment

),

recovery as (

    select
        reminded.process,
        reminded.level,
        reminded.currency,
        count(*) as items,
        cast(sum(reminded.open_amount) as decimal(19, 4)) as reminded_amount,
        count(cleared.amount) filter (where cleared.amount > 0) as items_with_payment,
        cast(coalesce(sum(least(greatest(cleared.amount, 0), reminded.open_amount)), 0) as decimal(19, 4))
            as recovered_amount,
        round(avg(cleared.first_booked_on - reminded.sent_on), 1) as average_days_to_payment
    from reminded
    left join cleared
        on cleared.statement_id = reminded.statement_id
        and cleared.invoice_key = reminded.invoice_key
        and cleared.instalment = reminded.instalment
    group by reminded.process, reminded.level, reminded.currency

)

select * from recovery
order by process, level, currency
