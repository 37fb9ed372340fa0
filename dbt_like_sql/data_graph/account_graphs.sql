-- All that a template may show: one JSON document per billing account and bill group, along the declared relationships.
-- Grain: one row per account_key and bill_group_key. Owner: collections. Nothing of a sibling account is in it.
-- Built in slices of accounts: the documents of all of them at once would need more memory than a build is given.
{{ config(meta={'slices_of': ['open_items', 'contacts', 'payments']}) }}
with

open_groups as (

    select distinct account_key, bill_group_key
    from {{ ref('open_items') }}

),

groups as (

    select account_key, bill_group_key
    from {{ ref('bill_groups') }}
    where account_key is not null

    union

    select account_key, bill_group_key
    from open_groups

    union

    -- an account without bill groups has one implicit bill group: itself
    select accounts.account_key, accounts.account_key as bill_group_key
    from {{ ref('accounts') }} as accounts
    anti join {{ ref('bill_groups') }} as bill_groups on bill_groups.account_key = accounts.account_key

),

graphs as (

    select
        links.unified_account_id,
        groups.account_key,
        groups.bill_group_key,
        struct_pack(
            unified_account_id := links.unified_account_id,
            account_key := groups.account_key,
            bill_group_key := groups.bill_group_key,
            account := struct_pack(
                account_key := accounts.account_key, source := accounts.source, account_id := accounts.account_id,
                name := accounts.name, account_number := accounts.account_number, party_type := accounts.party_type,
                vat_id := accounts.vat_id, email := accounts.email, phone := accounts.phone, street := accounts.street,
                postal_code := accounts.postal_code, city := accounts.city, state := accounts.state,
                country := accounts.country, language := accounts.language, time_zone := accounts.time_zone,
                owner := accounts.owner
            ),
            bill_group := struct_pack(id := bill_groups.bill_group_id, name := bill_groups.name),
            contacts := contacts.contacts,
            invoices := invoices.invoices,
            payments := money.payments,
            credits := money.credits,
            plans := plans.plans,
            statements := statements.statements
        ) as document
    from (select * from groups where {{ in_slice('account_key') }}) as groups
    inner join (select * from {{ ref('accounts') }} where {{ in_slice('account_key') }}) as accounts
        on accounts.account_key = groups.account_key
    left join (select * from {{ ref('account_links') }} where {{ in_slice('account_key') }}) as links
        on links.account_key = groups.account_key
    left join {{ ref('bill_groups') }} as bill_groups on bill_groups.bill_group_key = groups.bill_group_key
    left join {{ ref('graph_contacts') }} as contacts on contacts.account_key = groups.account_key
    left join {{ ref('graph_invoices') }} as invoices
        on invoices.account_key = groups.account_key and invoices.bill_group_key = groups.bill_group_key
    left join {{ ref('graph_money') }} as money on money.account_key = groups.account_key
    left join {{ ref('graph_plans') }} as plans on plans.account_key = groups.account_key
    left join {{ ref('graph_statements') }} as statements
        on statements.account_key = groups.account_key and statements.bill_group_key = groups.bill_group_key

),

documents as (

    select unified_account_id, account_key, bill_group_key, to_json(document) as document
    from graphs

)

select * from documents
