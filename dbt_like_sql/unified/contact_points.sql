-- Ways to reach a unified profile; all are kept, none is reconciled away.
-- Grain: one row per unified profile and contact point. Owner: data-platform. Resolved before these models run.
select *
from {{ source('identity', 'contact_points') }}
