-- Which process, in which version, each bill group with open items is in as of the dunning date, and by whose word.
-- Grain: one row per account_key and bill_group_key. A running case keeps the version that it began with.
with

bill_groups as (

    select
        items.account_key,
        items.bill_group_key,
        max_by(statements.process, levels.last_event) as running_process,
        max_by(statements.process_hash, levels.last_event) as running_hash
    from {{ ref('open_items') }} as items
    left join {{ ref('reached_levels') }} as levels
        on levels.invoice_key = items.invoice_key and levels.instalment = items.instalment
    left join {{ source('ops', 'statements') }} as statements on statements.statement_id = levels.last_statement_id
    group by items.account_key, items.bill_group_key

),

recorded as (

    select bill_group_key, process, origin
    from {{ source('ops', 'assignments') }}
    where valid_from <= {{ run_date() }} and (valid_to is null or valid_to >= {{ run_date() }})
    qualify row_number() over (
        partition by bill_group_key order by valid_from desc, created_at desc, assignment_id desc
    ) = 1

),

assigned as (

    select
        bill_groups.*,
        recorded.process is not null as is_recorded,
        coalesce(
            recorded.process, nullif(declared.process, ''), nullif(accounts.default_process, ''), company.default_process
        ) as process,
        case
            when recorded.process is not null then recorded.origin
            when nullif(declared.process, '') is not null then 'bill_group'
            when nullif(accounts.default_process, '') is not null then 'account_default'
            when company.default_process is not null then 'tenant_default'
        end as origin
    from bill_groups
    cross join {{ source('policy', 'company') }} as company
    left join recorded on recorded.bill_group_key = bill_groups.bill_group_key
    left join {{ ref('bill_groups') }} as declared on declared.bill_group_key = bill_groups.bill_group_key
    left join {{ ref('accounts') }} as accounts on accounts.account_key = bill_groups.account_key

),

pinned as (

    select
        assigned.*,
        current_version.process_hash as current_hash,
        -- a unit that spans bill groups has one version
        case
            when coalesce(current_version.is_frozen and current_version.migrate is null, true)
                then max(running_version.process_hash) over (
                    partition by assigned.account_key, assigned.process,
                    case when running_version.unit <> 'account' then assigned.bill_group_key end
                )
        end as kept_hash
    from assigned
    left join {{ source('policy', 'processes') }} as current_version
        on current_version.process = assigned.process and current_version.is_current
    left join {{ source('policy', 'processes') }} as running_version
        on running_version.process_hash = assigned.running_hash and running_version.process = assigned.process

)

select
    account_key, bill_group_key, process, origin, is_recorded,
    case when lower(process) <> 'none' then coalesce(kept_hash, current_hash) end as process_hash,
    case
        when lower(process) = 'none' and origin = 'manual' then 'paused'
        when process is null or lower(process) = 'none' then 'unassigned'
        when coalesce(kept_hash, current_hash) is null then 'process_unknown'
    end as problem
from pinned
