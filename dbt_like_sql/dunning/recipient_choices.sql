-- What became of each candidate: chosen, a conflict, a personal no (both end the search), or passed over.
-- Grain: one row per account_key, purpose, step and contact_key; is_answer marks the row(s) that ended the search.
with

judged as (

    select
        candidates.*,
        points.address,
        points.contact_point,
        case
            when candidates.contact_count > 1 then 'conflict'
            when candidates.purpose = 'address'
                then case when contacts.street is null and contacts.city is null then 'no_address' else 'chosen' end
            when points.holder_key is null then 'no_address'
            else coalesce(points.refusal, 'chosen')
        end as outcome,
        candidates.contact_count > 1 or coalesce(points.is_personal_refusal, false) as ends_here
    from {{ ref('recipient_candidates') }} as candidates
    left join {{ ref('recipient_points') }} as points
        on points.holder_key = candidates.contact_key and points.channel = candidates.purpose
    left join {{ ref('contacts') }} as contacts on contacts.contact_key = candidates.contact_key

)

select
    account_key,
    purpose,
    step,
    said_by,
    strength,
    contact_key,
    address,
    contact_point,
    outcome,
    (outcome = 'chosen' or ends_here)
    and step = min(case when outcome = 'chosen' or ends_here then step end)
        over (partition by account_key, purpose) as is_answer
from judged
