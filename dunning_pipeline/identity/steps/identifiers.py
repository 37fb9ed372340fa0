"""Names, identifiers and attributes of the records, from the cached normal forms: all that the rules look at."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from dunning_pipeline.identity.steps.records import OFFICIAL, address_key, official_key, person_key, phone_key
from dunning_pipeline.identity.steps.step import WORK, Step

CACHE = "identity_cache"


def account_named() -> Step:
    """Account records with core name and legal form; `name_id` is the first record that has the same two."""
    sql = f"""
        with named as (
            select r.record_id, n.core, n.form, n.first_word, n.word_set, n.problem
            from {WORK}.account_records as r
            left join {CACHE}.companies as n on n.raw_key = r.name
        ),
        ids as (
            select core, coalesce(form, '') as form_key, min(record_id) as name_id
            from named where core is not null group by core, coalesce(form, '')
        )
        select named.record_id, ids.name_id, named.core, named.form, named.first_word, named.word_set, named.problem
        from named left join ids on ids.core = named.core and ids.form_key = coalesce(named.form, '')
    """
    return Step(f"{WORK}.account_named", sql)


def individual_named() -> Step:
    """Person records with given and family name; `name_id` only where both are known."""
    sql = f"""
        with named as (
            select r.record_id, n.given, n.family, n.generation, n.given_letters, n.family_letters, n.problem
            from {WORK}.individual_records as r
            left join {CACHE}.persons as n on n.raw_key = {person_key()}
        ),
        ids as (
            select given, family, coalesce(generation, '') as suffix, min(record_id) as name_id
            from named where given is not null and family is not null group by given, family, coalesce(generation, '')
        )
        select named.record_id, ids.name_id, named.given, named.family, named.generation, named.given_letters, named.family_letters, named.problem
        from named left join ids on ids.given = named.given and ids.family = named.family
            and ids.suffix = coalesce(named.generation, '')
    """
    return Step(f"{WORK}.individual_named", sql)


def account_names() -> Step:
    """One row per name_id: what two company names are compared by."""
    sql = f"""
        select name_id, core, form, first_word, word_set, replace(core, ' ', '') as letters,
            translate(core, 'abcdefghijklmnopqrstuvwxyz ', '') as digits, count(*) as frequency
        from {WORK}.account_named where name_id is not null group by name_id, core, form, first_word, word_set
    """
    return Step(f"{WORK}.account_names", sql)


def individual_names() -> Step:
    """One row per name_id: what two names of people are compared by; `given_count` tells names from typos."""
    sql = f"""
        with names as (
            select name_id, given, family, generation, given_letters, family_letters, count(*) as frequency
            from {WORK}.individual_named where name_id is not null
            group by name_id, given, family, generation, given_letters, family_letters
        ),
        givens as (select given, sum(frequency) as given_count from names group by given),
        families as (select family, sum(frequency) as family_count from names group by family)
        select names.name_id, names.given, names.family, coalesce(names.generation, '') as suffix, names.given_letters, names.family_letters, names.frequency,
             givens.given_count, families.family_count
        from names
        join givens on givens.given = names.given
        join families on families.family = names.family
    """
    return Step(f"{WORK}.individual_names", sql)


def account_identifiers() -> Step:
    """record × kind × value of everything that may identify an account, with why a value was not usable."""
    records = f"{WORK}.account_records"
    official = " union all ".join(
        f"select r.record_id, '{kind}' as kind, r.{kind} as written, v.value, v.problem "
        f"from {records} as r join {CACHE}.official_ids as v on v.raw_key = {official_key(kind)}"
        for kind in OFFICIAL
    )
    domain = "regexp_replace(regexp_replace(lower(trim(website)), '^(https?://)?(www[0-9]?[.])?', ''), '[/:?#].*$', '')"
    sql = f"""
        {official}
        union all
        select r.record_id, 'vat_id', r.tax_id, v.value, v.problem
        from {records} as r join {CACHE}.official_ids as v on v.raw_key = {official_key("tax_id")}
        where r.vat_id is null and v.value like 'VAT:%'
        union all
        select record_id, 'account_number', account_number, source || ':' || upper(trim(account_number)), null
        from {records} where account_number is not null and trim(account_number) <> ''
        union all
        select record_id, 'domain', website, {domain}, null from {records} where website like '%.%'
        union all
        select r.record_id, 'domain', r.email, v.domain, case when v.mailbox = 'free' then 'free_mail_domain' end
        from {records} as r join {CACHE}.emails as v on v.raw_key = r.email
        where v.domain is not null and (r.website is null or r.website not like '%.%')
        union all
        {_contact_identifiers(records, phones=("phone",))}
    """
    return Step(f"{WORK}.account_values", sql)


def individual_identifiers() -> Step:
    """record × kind × value of everything that may identify a person, with why a value was not usable."""
    records = f"{WORK}.individual_records"
    # a number is a mobile one if its range says so, or if any record has it in its mobile field
    phones = " union all ".join(
        f"select r.record_id, r.{column} as written, v.value, {'true' if column == 'mobile_phone' else 'false'}"
        f" or v.type = 'mobile' as is_mobile from {records} as r"
        f" join {CACHE}.phones as v on v.raw_key = {phone_key('r.' + column)} where v.value is not null"
        for column in ("phone", "mobile_phone")
    )
    sql = f"""
        {_contact_identifiers(records, phones=("phone", "mobile_phone"))}
        union all
        select v.record_id, 'mobile', v.written, v.value, null
        from ({phones}) as v
        where v.value in (select value from ({phones}) as m where m.is_mobile)
        union all
        select record_id, 'individual_key', individual_key, individual_key, null from {records} where individual_key is not null
        union all
        select record_id, 'account', account_key, account_key, null from {records} where account_key is not null
        union all
        select record_id, 'birth_date', cast(birth_date as varchar), cast(birth_date as varchar),
            case when birth_date >= current_day then 'future_date' when birth_date < date '1900-01-02' then 'null_like' end
        from {records}, {WORK}.clock where birth_date is not null
    """
    return Step(f"{WORK}.individual_values", sql)


def _contact_identifiers(records: str, *, phones: tuple[str, ...]) -> str:
    phone_rows = " union all ".join(
        f"select r.record_id, 'phone', r.{column}, v.value, v.problem "
        f"from {records} as r join {CACHE}.phones as v on v.raw_key = {phone_key('r.' + column)}"
        for column in phones
    )
    return f"""
        select r.record_id, 'email' as kind, r.email as written, v.value,
            case when v.mailbox = 'role' then 'role_mailbox' else v.problem end as problem
        from {records} as r join {CACHE}.emails as v on v.raw_key = r.email
        union all {phone_rows}
        union all
        select r.record_id, 'address', r.street, v.value, v.problem
        from {records} as r join {CACHE}.addresses as v on v.raw_key = {address_key("r.")} where v.value is not null
        union all
        select r.record_id, 'postal_code', r.postal_code, v.postal_code, null
        from {records} as r join {CACHE}.addresses as v on v.raw_key = {address_key("r.")} where v.postal_code is not null
        union all
        select record_id, 'city', city, lower(trim(city)), null from {records} where trim(city) <> ''
    """
