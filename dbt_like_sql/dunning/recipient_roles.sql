-- Who holds which contact role of an account as of the date, by the strongest source that names anybody.
-- Strength: 1 legacy account contact role, 2 direct relation, 3 indirect relation, 4 the contact's own role.
-- Grain: one row per account_key, role and contact_key; contact_count > 1 means that nobody can be picked.
with

relations as (

    select
        relations.account_key,
        relations.contact_key,
        coalesce(relations.is_direct, contacts.account_key = relations.account_key, false) as is_direct,
        coalesce(relations.is_active, true)
        and coalesce(relations.start_date <= {{ run_date() }}, true)
        and coalesce(relations.end_date >= {{ run_date() }}, true) as is_valid,
        concat_ws(';', relations.dunning_contact_role, relations.roles) as roles_text
    from {{ ref('account_contact_relations') }} as relations
    inner join {{ ref('contacts') }} as contacts on contacts.contact_key = relations.contact_key

),

-- a contact whose direct relation has ended no longer speaks for the account, whatever its own role says
ended as (

    select account_key, contact_key
    from relations
    where is_direct
    group by account_key, contact_key
    having not bool_or(is_valid)

),

named as (

    select roles.account_key, roles.contact_key, 1 as strength, roles.role as roles_text
    from {{ ref('account_contact_roles') }} as roles
    inner join {{ ref('contacts') }} as contacts on contacts.contact_key = roles.contact_key
    union all
    select account_key, contact_key, case when is_direct then 2 else 3 end as strength, roles_text
    from relations
    where is_valid and roles_text <> ''
    union all
    select contacts.account_key, contacts.contact_key, 4 as strength, contacts.dunning_contact_role as roles_text
    from {{ ref('contacts') }} as contacts
    left join ended
        on ended.account_key = contacts.account_key and ended.contact_key = contacts.contact_key
    where contacts.dunning_contact_role is not null and ended.contact_key is null

),

roles as (

    select account_key, contact_key, strength, unnest(string_split(lower(roles_text), ';')) as role
    from named

),

strongest as (

    select distinct account_key, trim(role) as role, contact_key, strength
    from roles
    where trim(role) in (
        'invoice contact', 'dunning contact', 'dunning mailing contact', 'dunning email contact',
        'dunning email cc contact', 'dunning email bcc contact'
    )
    qualify strength = min(strength) over (partition by account_key, trim(role))

)

select
    account_key,
    role,
    contact_key,
    strength,
    count(*) over (partition by account_key, role) as contact_count
from strongest
