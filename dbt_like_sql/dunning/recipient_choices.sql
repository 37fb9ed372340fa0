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
                then case when {{ is_postal('contacts') }} then 'chosen' else 'no_address' end
            when points.holder_key is null then 'no_address'
            else coalesce(points.refusal, 'chosen')
        end as outcome,
        candidates.contact_count > 1 or coalesce(points.is_personal_refusal, false) as ends_here
    from {{ ref('recipient_candidates') }} as candidates
    left join {{ ref('recipient_points') }} as points
        on points.holder_key = candidates.contact_key and points.channel = candidates.purpose
    left join {{ ref('contacts') }} as contacts on contacts.contact_key = candidates.contact_key

),

-- an aggregate and a join, because a window would sort every candidate
first_answers as (

    select account_key, purpose, min(step) as step
    from judged
    where outcome = 'chosen' or ends_here
    group by account_key, purpose

)

select
    judged.account_key,
    judged.purpose,
    judged.step,
    judged.said_by,
    judged.strength,
    judged.contact_key,
    judged.address,
    judged.contact_point,
    judged.outcome,
    (judged.outcome = 'chosen' or judged.ends_here) and judged.step = first_answers.step as is_answer
from judged
left join first_answers
    on first_answers.account_key = judged.account_key and first_answers.purpose = judged.purpose
