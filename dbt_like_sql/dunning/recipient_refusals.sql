-- Contact points that may not be written to for dunning: suppressed, opted out, or not opted in where that is needed.
-- Grain: one row per channel and contact_point. A personal no switches the channel off; a dead address only itself.
with

suppressed as (

    select
        channel,
        contact_point,
        'suppressed: ' || min(reason) as refusal,
        bool_or(reason in ('complaint', 'stop_word')) as is_personal
    from {{ source('ops', 'suppressions') }}
    where lifted_at is null
    group by channel, contact_point

),

newest_consents as (

    select channel, contact_point, status
    from {{ source('ops', 'consents') }}
    where subscription = 'dunning'
    qualify row_number() over (
        partition by channel, contact_point
        order by consented_at desc, case when status = 'opt_out' then 0 else 1 end, consent_id
    ) = 1

),

opted_out as (

    select channel, contact_point, 'opted_out' as refusal, true as is_personal
    from newest_consents
    where status = 'opt_out'

)

select channel, contact_point, refusal, is_personal
from opted_out
union all
select suppressed.channel, suppressed.contact_point, suppressed.refusal, suppressed.is_personal
from suppressed
left join opted_out
    on opted_out.channel = suppressed.channel and opted_out.contact_point = suppressed.contact_point
where opted_out.contact_point is null
