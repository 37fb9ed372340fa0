-- Unified individuals: one person over all sources, with a stable id.
-- Grain: one row per unified_individual_id. Owner: data-platform. Resolved before these models run.
select *
from {{ source('identity', 'unified_individuals') }}
