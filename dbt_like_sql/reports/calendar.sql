-- What leaves when: messages by day, channel and state, past and planned.
-- Grain: one row per day, channel, kind, campaign and status. Owner: collections. Days are UTC.
with

sends as (

    select
        cast(coalesce(sent_at, due_at) as date) as day,
        channel,
        kind,
        campaign,
        status,
        count(*) as messages
    from {{ source('ops', 'sends') }}
    group by all

),

occurrences as (

    select
        cast(planned_for as date) as day,
        'campaign' as channel,
        'occurrence' as kind,
        campaign,
        status,
        count(*) as messages
    from {{ source('ops', 'campaign_occurrences') }}
    where status in ('planned', 'paused')
    group by all

),

calendar as (

    select * from sends
    union all
    select * from occurrences

)

select * from calendar
order by day, channel, kind, campaign, status
