"""First steps: the source records of each kind of party, and which cached normal forms belong to each of them."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from typing import NamedTuple

from dunning_pipeline.identity.steps.step import WORK, Step
from dunning_pipeline.identity.values.registry import SEPARATOR

KINDS = ("account", "individual")


def account_records() -> Step:
    """One row per account of data_model.accounts, numbered by key."""
    return _numbered(
        "account",
        keys="select account_key as record_key from data_model.accounts",
        rows="""
            select account_key as record_key, 'account' as record_kind,
                account_key, source, account_id as source_record_id, name, party_type, account_number, tax_id, vat_id,
                registry_number, lei, website, email, phone, street, city, postal_code, state, country, language, time_zone,
                currency, modified_at
            from data_model.accounts
        """,
    )


def individual_records() -> Step:
    """One row per contact and per individual; a record without a country takes that of its account.

    Where a contact and an individual have the same key, the individual's record key gets the prefix `individual/`.
    """
    individuals = (
        "from data_model.individuals as i left join data_model.contacts as c on c.contact_key = i.individual_key"
    )
    key = (
        "case when c.contact_key is null then i.individual_key else 'individual/' || i.individual_key end as record_key"
    )
    return _numbered(
        "individual",
        keys=f"select contact_key as record_key from data_model.contacts union all select {key} {individuals}",
        rows=f"""
            select c.contact_key as record_key, 'contact' as record_kind, c.contact_key, c.individual_key, c.account_key,
                c.source, c.contact_id as source_record_id, c.first_name, c.last_name, c.full_name, c.title, c.email,
                c.phone, c.mobile_phone, c.street, c.city, c.postal_code, c.state, coalesce(c.country, a.country) as country,
                c.birth_date, coalesce(c.language, a.language) as language, c.time_zone, c.modified_at
            from data_model.contacts as c
            left join data_model.accounts as a on a.account_key = c.account_key
            union all
            select {key}, 'individual', null, i.individual_key, null, i.source, i.individual_id, i.first_name, i.last_name,
                i.full_name, null, null, null, null, null, null, null, null, null, i.birth_date, null, null, i.modified_at
            {individuals}
        """,
    )


def _numbered(kind: str, *, keys: str, rows: str) -> Step:
    """The rows with their place in the order of keys; only the keys are sorted."""
    return Step(
        f"{WORK}.{kind}_records",
        f"select n.record_id, r.* from ({rows}) as r join (select record_key, cast(row_number() over (order by record_key) as integer)"
        f" as record_id from ({keys}) as k) as n on n.record_key = r.record_key",
    )


class Lookup(NamedTuple):
    """One normal form of a record `r`: the raw key under which the cache of the normaliser has it, null if not `present`."""

    alias: str
    normaliser: str
    present: str
    raw_key: str


def lookups(kind: str) -> list[Lookup]:
    """Everything of this kind of party that the value cache must know."""
    place = Lookup(
        "address", "addresses", "(r.street is not null or r.postal_code is not null)",
        raw_key("street", "city", "postal_code", "state", "country"),
    )  # fmt: skip
    shared = [Lookup("email", "emails", "r.email is not null", "r.email"), _phone("phone"), place]
    if kind == "account":
        named = Lookup("name", "companies", "r.name is not null", "r.name")
        return [named, *shared, *(_official(name) for name in OFFICIAL)]
    written = "coalesce(r.first_name, r.last_name, r.full_name) is not null"
    named = Lookup("name", "persons", written, raw_key("first_name", "last_name", "full_name"))
    return [named, *shared, _phone("mobile_phone")]


OFFICIAL = ("tax_id", "vat_id", "registry_number", "lei")


def _phone(column: str) -> Lookup:
    return Lookup(column, "phones", f"r.{column} is not null", raw_key(column, "country"))


def _official(column: str) -> Lookup:
    return Lookup(
        column, "official_ids", f"r.{column} is not null", f"'{column}{SEPARATOR}' || {raw_key(column, 'country')}"
    )


def raw_key(*columns: str) -> str:
    """SQL of the key under which the value cache knows these columns together."""
    return f" || '{SEPARATOR}' || ".join(f"replace(coalesce(r.{column}, ''), '{SEPARATOR}', ' ')" for column in columns)


def facts(kind: str, *, records: str | None = None) -> Step:
    """One row per record: its normal forms, as ids where they are only compared and as text where they are shown.

    A value that cannot identify (invalid, a role mailbox, a birth to come) has no id but a `_problem`. `missed` is true
    where the cache lacks one of the record's values.
    """
    wanted = lookups(kind)
    joins = "".join(
        f" left join identity_cache.{known.normaliser} as v_{known.alias} on {known.present} and v_{known.alias}.raw_key = {known.raw_key}"
        for known in wanted
    )
    missed = " or ".join(f"({known.present} and v_{known.alias}.raw_key is null)" for known in wanted)
    columns = _account_facts() if kind == "account" else _individual_facts()
    sql = (
        f"select r.record_id, {columns}, {missed} as missed from {records or f'{WORK}.{kind}_records'} as r"
        f" cross join {WORK}.clock as k{joins}"
    )
    return Step(f"identity.{kind}_facts", sql)


def _contact_facts(*phones: str) -> str:
    numbers = ", ".join(
        f"v_{p}.value_id as {p}, v_{p}.value as {p}_value, v_{p}.type as {p}_type, v_{p}.problem as {p}_problem"
        for p in phones
    )
    return f"""
        case when v_email.mailbox = 'role' then null else v_email.value_id end as email, v_email.value as email_value,
        v_email.mailbox, case when v_email.mailbox = 'role' then 'role_mailbox' else v_email.problem end as email_problem,
        {numbers}, v_address.value_id as address, v_address.value as address_value, v_address.problem as address_problem,
        v_address.postal_code, nullif(lower(trim(r.city)), '') as city"""


def _individual_facts() -> str:
    too_late, too_early = "r.birth_date >= k.current_day", "r.birth_date < date '1900-01-02'"
    return f"""
        v_name.value_id as name_id, v_name.given, v_name.family, v_name.generation, v_name.given_letters,
        v_name.family_letters, v_name.given_root, v_name.problem as name_problem, {_contact_facts("phone", "mobile_phone")},
        case when {too_late} or {too_early} then null else cast(r.birth_date as varchar) end as birth_date,
        case when {too_late} then 'future_date' when {too_early} then 'null_like' end as birth_date_problem,
        r.individual_key, r.account_key as account"""


def _account_facts() -> str:
    domain = (
        "regexp_replace(regexp_replace(lower(trim(r.website)), '^(https?://)?(www[0-9]?[.])?', ''), '[/:?#].*$', '')"
    )
    as_vat = "r.vat_id is null and v_tax_id.value like 'VAT:%'"
    official = ", ".join(
        f"v_{name}.value_id as {name}, v_{name}.value as {name}_value, v_{name}.problem as {name}_problem"
        for name in OFFICIAL
        if name != "vat_id"
    )
    return f"""
        v_name.value_id as name_id, v_name.core, v_name.form, v_name.first_word, v_name.word_set,
        v_name.problem as name_problem, {_contact_facts("phone")}, {official},
        case when {as_vat} then v_tax_id.value_id else v_vat_id.value_id end as vat_id,
        case when {as_vat} then v_tax_id.value else v_vat_id.value end as vat_id_value, v_vat_id.problem as vat_id_problem,
        case when trim(r.account_number) <> '' then r.source || ':' || upper(trim(r.account_number)) end as account_number,
        case when r.website like '%.%' then nullif({domain}, '') when v_email.mailbox = 'free' then null else v_email.domain end as domain,
        case when coalesce(r.website not like '%.%', true) and v_email.mailbox = 'free' then 'free_mail_domain' end as domain_problem"""
