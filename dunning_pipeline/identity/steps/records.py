"""First steps: the source records of each kind of party, and the raw keys under which their values are normalised."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from dunning_pipeline.identity.steps.step import WORK, Step
from dunning_pipeline.identity.values.registry import SEPARATOR

KINDS = ("account", "individual")


def account_records() -> Step:
    """One row per account of data_model.accounts, numbered by key."""
    sql = """
        select row_number() over (order by account_key) as record_id, account_key as record_key, 'account' as record_kind,
            account_key, source, account_id as source_record_id, name, party_type, account_number, tax_id, vat_id,
            registry_number, lei, website, email, phone, street, city, postal_code, state, country, language, time_zone,
            currency, modified_at
        from data_model.accounts
    """
    return Step("identity_work.account_records", sql)


def individual_records() -> Step:
    """One row per contact and per individual; a record without a country takes that of its account.

    Where a contact and an individual have the same key, the individual's record key gets the prefix `individual/`.
    """
    sql = """
        select row_number() over (order by record_key) as record_id, people.* from (
            select c.contact_key as record_key, 'contact' as record_kind, c.contact_key, c.individual_key, c.account_key,
                c.source, c.contact_id as source_record_id, c.first_name, c.last_name, c.full_name, c.title, c.email,
                c.phone, c.mobile_phone, c.street, c.city, c.postal_code, c.state, coalesce(c.country, a.country) as country,
                c.birth_date, coalesce(c.language, a.language) as language, c.time_zone, c.modified_at
            from data_model.contacts as c
            left join data_model.accounts as a on a.account_key = c.account_key
            union all
            select case when c.contact_key is null then i.individual_key else 'individual/' || i.individual_key end,
                'individual', null, i.individual_key, null, i.source, i.individual_id, i.first_name, i.last_name,
                i.full_name, null, null, null, null, null, null, null, null, null, i.birth_date, null, null, i.modified_at
            from data_model.individuals as i
            left join data_model.contacts as c on c.contact_key = i.individual_key
        ) as people
    """
    return Step("identity_work.individual_records", sql)


def raw_key(*columns: str) -> str:
    """SQL of the key under which the value cache knows these columns together; null where the first and all others are."""
    parts = f" || '{SEPARATOR}' || ".join(f"replace(coalesce({column}, ''), '{SEPARATOR}', ' ')" for column in columns)
    return f"case when coalesce({', '.join(columns)}) is not null then {parts} end" if columns else "null"


ADDRESS = ("street", "city", "postal_code", "state", "country")


def address_key(alias: str = "") -> str:
    """Raw key of the record's own postal address; null without street and postal code."""
    written = f"{alias}street is not null or {alias}postal_code is not null"
    return f"case when {written} then {raw_key(*(alias + column for column in ADDRESS))} end"


def phone_key(column: str) -> str:
    """Raw key of a phone number with the record's country; the column may carry an alias."""
    alias = column.rpartition(".")[0]
    return f"case when {column} is not null then {raw_key(column, f'{alias}.country' if alias else 'country')} end"


def person_key() -> str:
    return raw_key("first_name", "last_name", "full_name")


def official_key(kind: str) -> str:
    parts = f"'{kind}{SEPARATOR}' || replace({kind}, '{SEPARATOR}', ' ') || '{SEPARATOR}' || coalesce(country, '')"
    return f"case when {kind} is not null then {parts} end"


OFFICIAL = ("tax_id", "vat_id", "registry_number", "lei")


def raw_values(kind: str) -> dict[str, list[tuple[str, str]]]:
    """Normaliser → (SQL of the raw key, table) pairs: everything of this kind that the value cache must know."""
    table = f"{WORK}.{kind}_records"
    if kind == "account":
        return {
            "companies": [("name", table)],
            "emails": [("email", table)],
            "phones": [(phone_key("phone"), table)],
            "addresses": [(address_key(), table)],
            "official_ids": [(official_key(name), table) for name in OFFICIAL],
        }
    return {
        "persons": [(person_key(), table)],
        "emails": [("email", table)],
        "phones": [(phone_key("phone"), table), (phone_key("mobile_phone"), table)],
        "addresses": [(address_key(), table)],
    }
