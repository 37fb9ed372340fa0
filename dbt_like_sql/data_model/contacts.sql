-- Contacts of accounts, one row per source contact.
-- Grain: one row per contact_key.
select
    contact_key,
    source,
    contact_id,
    account_key,
    individual_key,
    salutation,
    first_name,
    last_name,
    full_name,
    title,
    nullif(trim(email), '') as email,
    phone,
    mobile_phone,
    street,
    city,
    postal_code,
    state,
    country,
    birth_date,
    language,
    time_zone,
    nullif(trim(dunning_contact_role), '') as dunning_contact_role,
    has_opted_out_of_email,
    created_at,
    modified_at
from {{ source('mapped', 'contacts') }}
