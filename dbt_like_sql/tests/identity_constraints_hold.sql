-- What must hold of every unified profile: each record in one profile, no constraint and no decision violated, no id twice.
-- A row is a check of the last resolution that failed; `message` says what and how often.
-- depends_on: {{ ref('unified_accounts') }}, {{ ref('unified_individuals') }}
select party_kind, check_name, failures, records, message
from {{ source('identity', 'checks') }}
where severity = 'error' and not passed
