-- Privacy individuals of a source.
-- Grain: one row per individual_key.
select
    individual_key,
    source,
    individual_id,
    first_name,
    last_name,
    full_name,
    birth_date,
    modified_at
from {{ source('mapped', 'individuals') }}
