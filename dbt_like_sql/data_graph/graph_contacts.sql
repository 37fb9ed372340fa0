-- The people of each billing account: their roles, and how they may be reached.
-- Grain: one row per account_key. Owner: collections.
{{ config(materialized='view') }}
with

roles as (

    -- a contact holds a role of an account once
    select account_key, contact_key, list_sort(list(role)) as roles
    from {{ ref('recipient_roles') }}
    where {{ in_slice('account_key') }}
    group by account_key, contact_key

),

related as (

    select account_key, contact_key
    from {{ ref('contacts') }}
    where account_key is not null and {{ in_slice('account_key') }}

    union all

    -- who speaks for an account without being its own contact
    select roles.account_key, roles.contact_key
    from roles
    anti join {{ ref('contacts') }} as contacts
        on contacts.contact_key = roles.contact_key and contacts.account_key = roles.account_key

),

points as (

    select
        holder_key,
        list_sort(list(struct_pack(channel := channel, address := address, refusal := refusal))) as points
    from {{ ref('recipient_points') }}
    where holder_key in (select contact_key from related)
    group by holder_key

),

contacts as (

    select
        related.account_key,
        -- sorted as JSON texts, which begin with the key: lists of structs cost twice as much
        list_sort(list(to_json(struct_pack(
            contact_key := contacts.contact_key,
            account_key := related.account_key,
            salutation := contacts.salutation,
            first_name := contacts.first_name,
            last_name := contacts.last_name,
            full_name := contacts.full_name,
            title := contacts.title,
            email := contacts.email,
            phone := contacts.phone,
            mobile_phone := contacts.mobile_phone,
            language := contacts.language,
            roles := coalesce(roles.roles, cast([] as varchar[])),
            contact_points := points.points
        )))) as contacts
    from related
    inner join {{ ref('contacts') }} as contacts on contacts.contact_key = related.contact_key
    left join roles on roles.account_key = related.account_key and roles.contact_key = related.contact_key
    left join points on points.holder_key = related.contact_key
    group by related.account_key

)

select * from contacts
