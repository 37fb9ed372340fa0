"""First steps: the source records of each kind of party, and which cached normal forms belong to each of them."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from typing import NamedTuple

from dunning_pipeline.identity.steps.names import RELATED_BY
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
        f"select n.record_id, r.*, {_content(kind)} as content from ({rows}) as r join (select record_key, cast(row_number() over (order by record_key) as integer)"
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


_CONTENT = {
    "account": (
        "source", "name", "account_number", *OFFICIAL, "website", "email", "phone", "street", "city", "postal_code", "state", "country",
    ),
    "individual": (
        "first_name", "last_name", "full_name", "email", "phone", "mobile_phone", "street", "city", "postal_code", "state", "country",
    ),
}  # fmt: skip


def _content(kind: str) -> str:
    """SQL of what tells the content of a record `r` from others: DuckDB's hash of all that its normal forms are made of."""
    return f"hash({', '.join(f'r.{column}' for column in _CONTENT[kind])})"


def forms(kind: str, *, records: str, content: str = "r.content") -> str:
    """Query of one row per `content` of these records: its normal forms, as ids where they are only compared and as text where shown.

    A value that cannot identify (invalid, a role mailbox) has no id but a `_problem`. The value cache must know all values.
    """
    joins = "".join(
        f" left join identity_cache.{known.normaliser} as v_{known.alias} on {known.present} and v_{known.alias}.raw_key = {known.raw_key}"
        for known in lookups(kind)
    )
    names = ", ".join(f"v_name.{name}" for name in NAME_FORMS[kind])
    columns = ", ".join(f"{sql} as {name}" for name, sql in form_columns(kind).items())
    return f"select {content} as content, {columns}, {names} from {records} as r{joins}"


def facts(kind: str, *, content: str = "r.content", records: str | None = None) -> Step:
    """One row per record: the normal forms of its content as ids, and what is compared as it is written.

    Their texts, and why a value is none, stay where the content has them (`shown_facts`). `missed` is true where the cache lacks the
    content. A birth to come, or before 1900, has no value but a problem.
    """
    own = ""
    if kind == "individual":
        too_late, too_early = "r.birth_date >= k.current_day", "r.birth_date < date '1900-01-02'"
        own = f""", case when {too_late} or {too_early} then null else r.birth_date end as birth_date,
            case when {too_late} then 'future_date' when {too_early} then 'null_like' end as birth_date_problem,
            r.individual_key, r.account_key as account"""
    columns = ", ".join(f"f.{name}" for name in (*_compared(kind), *_SHOWN_NAMES[kind]))
    sql = (
        f"select r.record_id, f.content, {columns}{own}, f.content is null as missed"
        f" from {records or f'{WORK}.{kind}_records'} as r cross join {WORK}.clock as k"
        f" left join identity_cache.{kind}_forms as f on f.content = {content}"
    )
    return Step(f"{WORK}.{kind}_facts", sql)


def shown_facts(kind: str) -> str:
    """The facts of all records together with the texts of their normal forms, to be read where SQL names a table."""
    shown = ", ".join(f"v.{name}" for name in form_columns(kind) if name not in _compared(kind))
    return f"(select f.*, {shown} from {WORK}.{kind}_facts as f join identity_cache.{kind}_forms as v on v.content = f.content)"


def _compared(kind: str) -> list[str]:
    return [name for name in form_columns(kind) if not name.endswith(("_value", "_problem"))]


def names() -> str:
    """Query of one row per name of the cached persons, however it is written, with all that names are compared by."""
    forms = ", ".join(f"any_value(p.{name}) as {name}" for name in NAME_FORMS["individual"])
    keys = ", ".join(f"{sql} as {key}" for key, sql in RELATED_BY.items())
    return (
        f"select n.*, coalesce(n.generation, '') as suffix, {keys} from (select p.value_id as name_id, {forms}"
        " from identity_cache.persons as p where p.value_id is not null group by p.value_id) as n"
    )


def form_columns(kind: str) -> dict[str, str]:
    """Column → SQL of the normal forms of a record `r`, all from the cached values `v_<alias>` but what is only tidied."""
    return _account_forms() if kind == "account" else _individual_forms()


def _individual_forms() -> dict[str, str]:
    return {
        "name_id": "v_name.value_id",
        "name_problem": "v_name.problem",
        "phone_type": "v_phone.type",
    } | _contact_forms("phone", "mobile_phone")


def _account_forms() -> dict[str, str]:
    domain = (
        "regexp_replace(regexp_replace(lower(trim(r.website)), '^(https?://)?(www[0-9]?[.])?', ''), '[/:?#].*$', '')"
    )
    as_vat = "r.vat_id is null and v_tax_id.value like 'VAT:%'"
    forms = {"name_id": "v_name.value_id", "name_problem": "v_name.problem"} | _contact_forms("phone")
    for name in OFFICIAL:
        forms |= {
            name: f"v_{name}.value_id",
            f"{name}_value": f"v_{name}.value",
            f"{name}_problem": f"v_{name}.problem",
        }
    return forms | {
        "vat_id": f"case when {as_vat} then v_tax_id.value_id else v_vat_id.value_id end",
        "vat_id_value": f"case when {as_vat} then v_tax_id.value else v_vat_id.value end",
        "account_number": "case when trim(r.account_number) <> '' then r.source || ':' || upper(trim(r.account_number)) end",
        "domain": f"case when r.website like '%.%' then nullif({domain}, '') when v_email.mailbox = 'free' then null else v_email.domain end",
        "domain_problem": "case when coalesce(r.website not like '%.%', true) and v_email.mailbox = 'free' then 'free_mail_domain' end",
    }


def _contact_forms(*phones: str) -> dict[str, str]:
    forms = {
        "email": "case when v_email.mailbox = 'role' then null else v_email.value_id end", "email_value": "v_email.value",
        "mailbox": "v_email.mailbox", "email_problem": "case when v_email.mailbox = 'role' then 'role_mailbox' else v_email.problem end",
    }  # fmt: skip
    for p in phones:
        forms |= {p: f"v_{p}.value_id", f"{p}_value": f"v_{p}.value", f"{p}_problem": f"v_{p}.problem"}
    return forms | {
        "address": "v_address.value_id", "address_value": "v_address.value", "address_problem": "v_address.problem",
        "postal_code": "v_address.postal_code", "city": "nullif(lower(trim(r.city)), '')",
    }  # fmt: skip


# what names are compared by: of people once per name (steps/identifiers.py), of companies once per account
NAME_FORMS = {
    "account": ("core", "form", "first_word", "word_set"),
    "individual": ("given", "family", "generation", "given_letters", "family_letters", "given_root"),
}
_SHOWN_NAMES = {"account": NAME_FORMS["account"], "individual": ("generation",)}
