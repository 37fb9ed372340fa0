-- Statements that ask for charges alone: the principal is paid, `charges_only` says claim, and the deadline has passed.
-- Grain: one row per draft_key. Once per set of charges: what such a statement asked for is not asked for again.
with

claims as (

    select
        charges.*, statements.level as statement_level, statements.legal_entity, statements.process,
        -- the newest statement is followed, of several of one day that of the highest level
        (charges.posted_on, statements.level, charges.posting_id) as place
    from {{ ref('settled_charges') }} as charges
    inner join {{ source('ops', 'statements') }} as statements on statements.statement_id = charges.statement_id
    where charges.treatment = 'claim'
        and coalesce(statements.due_date, charges.posted_on) < {{ run_date() }}
        and '{{ var("scope_invoice", "") }}' = ''
        {% if var('scope_process', '') %}and statements.process = '{{ var("scope_process", "") }}'{% endif %}
        {% if var('scope_levels', []) %}and statements.level in ({{ var('scope_levels', []) | join(', ') }}){% endif %}

),

-- a reminder of the unit claims its charges anyway
reminded as (

    select distinct account_key, unit_key, entity, currency
    from {{ ref('draft_items') }}
    where phase = 'reminder'

),

-- a reminder of the unit that asks for charges has its own deadline; until then it is not asked beside it
waiting as (

    select distinct statements.unit_key, coalesce(statements.legal_entity, '') as entity, statements.currency
    from {{ source('ops', 'statements') }} as statements
    inner join {{ source('ops', 'statement_details') }} as lines
        on lines.statement_id = statements.statement_id and lines.type not in ('invoice', 'credit')
    where statements.kind = 'dunning' and statements.status = 'closed' and statements.due_date >= {{ run_date() }}

),

asked as (

    select statements.unit_key, coalesce(statements.legal_entity, '') as entity, statements.currency,
        max(statements.dunning_date) as asked_on
    from {{ source('ops', 'statements') }} as statements
    left join {{ source('ops', 'statement_details') }} as lines
        on lines.statement_id = statements.statement_id and lines.type = 'invoice'
    where statements.kind = 'dunning' and statements.status = 'closed' and lines.statement_id is null
    group by statements.unit_key, coalesce(statements.legal_entity, ''), statements.currency

),

held as (

    select target_key
    from {{ source('ops', 'blocks') }}
    where scope in ('account', 'bill_group')
        and valid_from <= {{ run_date() }}
        and (valid_to is null or valid_to >= {{ run_date() }})
        and (ended_at is null or cast(ended_at as date) > {{ run_date() }})
    union
    select account_key as target_key from {{ ref('accounts') }} where prevent_dunning
    union
    select bill_group_key as target_key from {{ ref('bill_groups') }} where prevent_dunning
    union
    select bill_group_key as target_key from {{ ref('bill_group_assignments') }} where process_hash is null

)

select
    'charges|' || claims.unit_key || '|' || claims.entity || '|' || claims.currency as draft_key,
    claims.account_key, claims.unit_key, claims.entity, claims.currency,
    any_value(claims.legal_entity) as legal_entity,
    max_by(claims.process, claims.place) as process,
    max_by(claims.process_hash, claims.place) as process_hash,
    max_by(claims.statement_level, claims.place) as draft_level,
    min(coalesce(claims.bill_group_key, claims.account_key)) as bill_group_key
from claims
left join reminded
    on reminded.account_key = claims.account_key and reminded.unit_key = claims.unit_key
    and reminded.entity = claims.entity and reminded.currency = claims.currency
left join asked
    on asked.unit_key = claims.unit_key and asked.entity = claims.entity and asked.currency = claims.currency
    and asked.asked_on >= claims.posted_on
left join waiting
    on waiting.unit_key = claims.unit_key and waiting.entity = claims.entity and waiting.currency = claims.currency
where reminded.unit_key is null and waiting.unit_key is null and asked.unit_key is null
    and claims.account_key not in (select target_key from held)
    and coalesce(claims.bill_group_key, claims.account_key) not in (select target_key from held)
group by claims.account_key, claims.unit_key, claims.entity, claims.currency
