-- Which billing account belongs to which unified account, and which rule said so.
-- Grain: one row per account_key. Owner: data-platform. Resolved before these models run.
select *
from {{ source('identity', 'account_links') }}
