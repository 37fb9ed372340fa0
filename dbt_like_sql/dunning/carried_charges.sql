-- Charges posted earlier and unpaid, each on the one proposed statement that claims it again.
-- Grain: one row per original posting that is carried. Minor units.
with

charges as (

    select charges.*, settled.treatment
    from {{ ref('ledger_charges') }} as charges
    left join {{ ref('settled_charges') }} as settled on settled.posting_id = charges.posting_id
    where charges.unpaid_minor > 0 and coalesce(settled.treatment, 'claim') = 'claim'

),

mains as (

    select distinct draft_key, account_key, unit, unit_key, entity, currency
    from {{ ref('draft_items') }}
    where phase = 'reminder'
    qualify row_number() over (
        partition by account_key, unit_key, entity, currency order by draft_level desc, draft_key, invoice_key, instalment
    ) = 1

),

-- what a reminder of this very date asks for is not asked once more by the draft of another level beside it
claimed as (

    select distinct
        case when lines.type in ('interest', 'carried_interest') then 'interest'
            else coalesce(lines.reference, lines.statement_id) end as charged_by,
        coalesce(lines.invoice_key, '') as invoice_key,
        coalesce(lines.instalment, 1) as instalment
    from {{ source('ops', 'statements') }} as statements
    inner join {{ source('ops', 'statement_details') }} as lines
        on lines.statement_id = statements.statement_id and lines.type not in ('invoice', 'credit')
    where statements.kind = 'dunning' and statements.status = 'closed' and statements.dunning_date = {{ run_date() }}

),

of_items as (

    select charges.*, items.draft_key
    from charges
    inner join {{ ref('draft_items') }} as items
        on items.invoice_key = charges.invoice_key and items.instalment = charges.instalment
    where items.phase = 'reminder'

),

of_units as (

    select charges.*, mains.draft_key
    from charges
    inner join mains
        on mains.account_key = charges.account_key
        and mains.entity = charges.entity
        and mains.currency = charges.currency
        and mains.unit_key = case mains.unit
            when 'account' then charges.account_key
            when 'invoice' then coalesce(charges.invoice_key, charges.unit_key)
            else coalesce(charges.bill_group_key, charges.account_key)
        end
    left join claimed
        on claimed.charged_by = case when charges.type = 'interest' then 'interest' else charges.statement_id end
        and claimed.invoice_key = coalesce(charges.invoice_key, '') and claimed.instalment = charges.instalment
    -- a fee belongs to the unit; interest of an item that is paid is claimed with the unit's statement
    where claimed.charged_by is null
        and (charges.invoice_key is null or charges.treatment = 'claim')
        and '{{ var("scope_invoice", "") }}' = ''

),

-- charges that no reminder claims ask for themselves
of_themselves as (

    select charges.*, drafts.draft_key
    from charges
    inner join {{ ref('charge_drafts') }} as drafts
        on drafts.account_key = charges.account_key and drafts.unit_key = charges.unit_key
        and drafts.entity = charges.entity and drafts.currency = charges.currency
    where charges.treatment = 'claim'
        and charges.posting_id not in (select posting_id from of_items union all select posting_id from of_units)

)

select draft_key, posting_id, type, statement_id, invoice_key, instalment, level, posted_on, unpaid_minor from of_items
union all
select draft_key, posting_id, type, statement_id, invoice_key, instalment, level, posted_on, unpaid_minor from of_units
union all
select draft_key, posting_id, type, statement_id, invoice_key, instalment, level, posted_on, unpaid_minor
from of_themselves
