-- How messages arrive: what became of the sends of each month, by channel and template.
-- Grain: one row per month, channel, kind and template. Owner: collections.
with

sends as (

    select *
    from {{ source('ops', 'sends') }}
    where cast(queued_at as date) <= {{ run_date() }}

),

events as (

    select
        send_key,
        bool_or(event = 'delivered') as is_delivered,
        bool_or(event in ('bounce', 'bounced')) as is_bounced,
        bool_or(event in ('open', 'opened')) as is_opened,
        bool_or(event in ('click', 'clicked')) as is_clicked,
        bool_or(event in ('spamreport', 'complaint', 'complained')) as is_complained
    from {{ source('ops', 'provider_events') }}
    where send_key is not null and cast(occurred_at as date) <= {{ run_date() }}
    group by send_key

),

deliverability as (

    select
        cast(date_trunc('month', coalesce(sends.sent_at, sends.queued_at)) as date) as month,
        sends.channel,
        sends.kind,
        sends.template,
        count(*) as messages,
        count(*) filter (where sends.status = 'sent') as sent,
        count(*) filter (where sends.status = 'held') as held,
        count(*) filter (where sends.status = 'failed') as failed,
        count(*) filter (where sends.status = 'unknown') as unknown,
        count(*) filter (where sends.status in ('cancelled', 'superseded')) as withdrawn,
        count(*) filter (where events.is_delivered or sends.delivery = 'delivered') as delivered,
        count(*) filter (where events.is_bounced) as bounced,
        count(*) filter (where events.is_opened) as opened,
        count(*) filter (where events.is_clicked) as clicked,
        count(*) filter (where events.is_complained) as complained
    from sends
    left join events on events.send_key = sends.send_key
    group by all

)

select * from deliverability
order by month, channel, kind, template
