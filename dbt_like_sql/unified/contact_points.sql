-- Ways to reach a unified profile; all are kept, none is reconciled away.
-- Grain: one row per unified profile and contact point. Owner: data-platform. Resolved before these models run.
-- depends_on: {{ ref('accounts') }}, {{ ref('contacts') }} (the resolution gives a view over them)
select *
from {{ source('identity', 'contact_points') }}
