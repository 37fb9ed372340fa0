-- Everybody who could be written to for an account, in the order in which they are asked.
-- Grain: one row per account_key, purpose (email, sms, address) and contact_key; the lowest step that answers wins.
with

role_steps as (

    select * from (values
        ('email', 1, 'dunning email contact'), ('email', 2, 'dunning contact'), ('email', 3, 'invoice contact'),
        ('sms', 1, 'dunning contact'), ('sms', 2, 'dunning email contact'), ('sms', 3, 'invoice contact'),
        ('address', 1, 'dunning mailing contact'), ('address', 2, 'dunning contact'), ('address', 3, 'invoice contact')
    ) as steps (purpose, step, role)

),

-- the bill-to contact is that of the newest posted invoice
bill_to as (

    select account_key, billing_contact_key as contact_key
    from {{ ref('invoices') }}
    where billing_contact_key is not null and status = 'posted' and invoice_date <= {{ run_date() }}
    qualify row_number() over (partition by account_key order by invoice_date desc, invoice_key desc) = 1

),

only_contacts as (

    select account_key, min(contact_key) as contact_key
    from {{ ref('contacts') }}
    where account_key is not null
    group by account_key
    having count(*) = 1

),

purposes as (

    select 'email' as purpose
    union all
    select 'sms' as purpose

)

select roles.account_key, steps.purpose, steps.step, steps.role as said_by, roles.strength, roles.contact_key,
    roles.contact_count
from {{ ref('recipient_roles') }} as roles
inner join role_steps as steps on steps.role = roles.role
union all
select bill_to.account_key, purposes.purpose, 4 as step, 'bill-to contact' as said_by, null as strength,
    bill_to.contact_key, 1 as contact_count
from bill_to
cross join purposes
union all
select only_contacts.account_key, purposes.purpose, 5 as step, 'only contact' as said_by, null as strength,
    only_contacts.contact_key, 1 as contact_count
from only_contacts
cross join purposes
union all
select account_key, 'email' as purpose, 6 as step, 'account' as said_by, null as strength, account_key as contact_key,
    1 as contact_count
from {{ ref('accounts') }}
where email is not null
