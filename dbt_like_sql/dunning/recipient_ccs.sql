-- Carbon copies of an account: contacts with a cc or bcc role, and the account's own comma-delimited list.
-- Grain: one row per account_key, place (cc_role, bcc, cc_account) and written address; refusal says why it is left out.
with

written as (

    select roles.account_key, case when roles.role = 'dunning email cc contact' then 'cc_role' else 'bcc' end as place,
        contacts.email as written
    from {{ ref('recipient_roles') }} as roles
    inner join {{ ref('contacts') }} as contacts on contacts.contact_key = roles.contact_key
    where roles.role in ('dunning email cc contact', 'dunning email bcc contact') and contacts.email is not null
    union all
    select account_key, 'cc_account' as place, unnest(string_split(replace(dunning_ccs, ';', ','), ',')) as written
    from {{ ref('accounts') }}
    where dunning_ccs is not null

),

points as (

    select distinct
        account_key,
        place,
        coalesce({{ written_email('written') }}, trim(written)) as written,
        {{ written_email('written') }} as address,
        {{ normalized_email('written') }} as contact_point
    from written
    where trim(written) <> ''

),

opted_in as (

    select distinct contact_point
    from {{ source('ops', 'consents') }}
    where subscription = 'dunning' and channel = 'email' and status = 'opt_in'

)

select
    points.account_key,
    points.place,
    points.written,
    points.address,
    points.contact_point,
    case
        when points.address is null then 'invalid_address'
        when refusals.refusal is not null then refusals.refusal
        when company.consent_for_dunning = 'required' and opted_in.contact_point is null then 'no_opt_in'
        when answers.contact_point is not null then 'same_as_to'
    end as refusal
from points
cross join {{ source('policy', 'company') }} as company
left join {{ ref('recipient_refusals') }} as refusals
    on refusals.channel = 'email' and refusals.contact_point = points.contact_point
left join opted_in on opted_in.contact_point = points.contact_point
left join {{ ref('recipient_choices') }} as answers
    on answers.account_key = points.account_key and answers.contact_point = points.contact_point
    and answers.purpose = 'email' and answers.is_answer and answers.outcome = 'chosen'
