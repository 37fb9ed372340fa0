-- How each contact, and each account itself, can be reached for dunning: e-mail address and mobile number.
-- Grain: one row per holder_key (contact_key or account_key) and channel; refusal says why it may not be used.
with

-- a number in national format is read in the contact's country, else in that of its account
mobiles as (

    select contacts.contact_key, contacts.mobile_phone as written,
        {{ e164('contacts.mobile_phone', 'dialling.calling_code', 'dialling.trunk_prefix') }} as address
    from {{ ref('contacts') }} as contacts
    left join {{ ref('accounts') }} as accounts on accounts.account_key = contacts.account_key
    left join {{ ref('recipient_dialling') }} as dialling
        on dialling.country = upper(coalesce(contacts.country, accounts.country))
    where contacts.mobile_phone is not null

),

points as (

    select contact_key as holder_key, 'email' as channel, email as written, {{ written_email('email') }} as address,
        {{ normalized_email('email') }} as contact_point
    from {{ ref('contacts') }}
    where email is not null
    union all
    select account_key as holder_key, 'email' as channel, email as written, {{ written_email('email') }} as address,
        {{ normalized_email('email') }} as contact_point
    from {{ ref('accounts') }}
    where email is not null
    union all
    select contact_key as holder_key, 'sms' as channel, written, address, address as contact_point
    from mobiles

),

opted_in as (

    select channel, contact_point, max(consented_at) as consented_at
    from {{ source('ops', 'consents') }}
    where subscription = 'dunning' and status = 'opt_in'
    group by channel, contact_point

)

select
    points.holder_key,
    points.channel,
    points.written,
    points.address,
    points.contact_point,
    case
        when points.address is null then 'invalid_address'
        when refusals.refusal is not null then refusals.refusal
        when company.consent_for_dunning = 'required' and opted_in.contact_point is null then 'no_opt_in'
    end as refusal,
    coalesce(refusals.is_personal, false) as is_personal_refusal
from points
cross join {{ source('policy', 'company') }} as company
left join {{ ref('recipient_refusals') }} as refusals
    on refusals.channel = points.channel and refusals.contact_point = points.contact_point
left join opted_in on opted_in.channel = points.channel and opted_in.contact_point = points.contact_point
