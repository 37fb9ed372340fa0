-- Which contact or individual belongs to which unified individual, and which rule said so.
-- Grain: one row per record_key. Owner: data-platform. Resolved before these models run.
select *
from {{ source('identity', 'individual_links') }}
