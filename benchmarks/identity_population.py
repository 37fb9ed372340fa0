"""Makes populations whose truth is known: people in households and companies, companies in groups, with all that goes wrong.

What it contains is what worries us: shared mailboxes and phones, role mailboxes, switchboards, fathers and sons of one name,
twins, nicknames, typos, moved and married people, missing fields; sibling companies with one domain, phone and address, that
differ in a word, in the legal form, or only in their tax number. Same seed, same population.
"""
# ruff: noqa: E501, SIM905  (statements of SQL and rows of data stay on one line)

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa
from stdnum.iso7064 import mod_11_10

from dunning_pipeline.identity.values.words import TABLES

# pairs of given names that differ by one letter and are both names stand next to each other on purpose
GIVEN = """James John Robert Michael Michaela William David Richard Joseph Thomas Charles Christopher Daniel Daniela Daniele Matthew
Anthony Mark Mark Donald Steven Stefan Stefanie Paul Paula Andrew Andrea Andreas Joshua Kenneth Kevin Brian George Georg Edward
Ronald Timothy Jason Jeffrey Ryan Jacob Gary Nicholas Eric Erica Erik Erika Jonathan Stephen Larry Justin Scott Brandon Benjamin
Samuel Gregory Frank Franka Alexander Alexandra Raymond Patrick Patricia Jack Dennis Denise Jerry Tyler Aaron Jose Adam Nathan
Henry Zachary Douglas Peter Petra Kyle Mary Maria Mario Marie Linda Jennifer Elizabeth Barbara Susan Jessica Sarah Sara Karen
Lisa Nancy Betty Sandra Margaret Ashley Kimberly Emily Donna Michelle Carol Amanda Melissa Deborah Stephanie Dorothy Rebecca
Sharon Laura Cynthia Amy Kathleen Angela Shirley Brenda Emma Anna Anne Ann Pamela Nicole Samantha Katherine Catherine Christine
Christina Christian Christiane Helen Helena Debra Rachel Carolyn Janet Maren Virginia Heather Diane Julie Julia Julian Joyce
Victoria Kelly Joan Johanna Johannes Jan Jana Lauren Martha Judith Cheryl Megan Hans Klaus Jürgen Wolfgang Heinz Dieter Manfred
Uwe Günter Ursula Monika Sabine Renate Ingrid Gisela Heike Birgit Brigitte Jean Jeanne Pierre Luc Luca Lucas Lukas Louis Louise
Antoine Antonia Antonio Carlos Carla Carmen Pablo Javier Manuel Manuela Francisco Francisca Krzysztof Piotr Andrzej Katarzyna
Małgorzata Agnieszka Ewa Eva Tomasz Paweł Jakub Oliver Olivia Noah Nora Liam Mia Ella Leo Lea Theo Thea Max Maximilian Felix
Simon Simone Philipp Moritz Tim Tom Tobias Sebastian Dominik Florian Fabian Marcel Marcela Martin Martina Valentin Valentina""".split()  # fmt: skip
SYLLABLES = """ber ker mann stein hof feld bach wald berg mer lin gar ton ford wood field ham ley shaw well man son ski wicz
kow nau dorf burg ring schulz meis kel ros pet dom mar val cas tro gon per ram lop gut del bro mor hal ash wes nor sud""".split()  # fmt: skip
STREETS = "Street Avenue Road Lane Drive Court Place Boulevard Terrace Square".split()
SHORT_STREETS = "St Ave Rd Ln Dr Ct Pl Blvd Ter Sq".split()
CITIES = [f"{a}{b}" for a in ("North", "South", "East", "West", "New ", "Old ", "Lake ", "Fort ", "Port ", "Mount ")
          for b in ("field", "ton", "bury", "haven", "ford", "wood", "gate", "mere", "stead", "well")]  # fmt: skip
FREE_MAIL = ["gmail.com", "yahoo.com", "outlook.com", "web.de", "gmx.de", "icloud.com"]


def load_people(
    con: duckdb.DuckDBPyConnection, records: int, *, seed: int = 1, people_per_household: float = 1.6
) -> None:
    """Fill data_model.contacts with `records` contacts, and `truth` (record_key, party) with who they are."""
    rng = np.random.default_rng(seed)
    people = int(records / 2.19 * 1.01) + 100  # a person has 2.19 records on average; what is too much is cut off
    families = _names(con, rng)
    con.register("people_ints", _people(rng, people, families, people_per_household))
    con.execute(_PEOPLE)
    con.unregister("people_ints")
    con.register("record_ints", _records(rng, people, records))
    con.execute(_RECORDS)
    con.unregister("record_ints")
    con.execute(_CONTACTS)
    con.execute(
        "create or replace table truth as select contact_key as record_key, person as party from generated_records"
    )
    for table in ("generated_people", "generated_records", "given_names", "family_names", "short_names"):
        con.execute(f"drop table {table}")


def _names(con: duckdb.DuckDBPyConnection, rng: np.random.Generator) -> int:
    """Fill the tables of names; the number of family names."""
    families = sorted({"".join(rng.choice(SYLLABLES, rng.integers(2, 4))).capitalize() for _ in range(30_000)})
    rng.shuffle(families)
    lines = (TABLES / "nicknames.csv").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(",")[:2] for line in lines if not line.startswith(("#", "name,"))]
    _table(con, "given_names", {"n": list(range(len(GIVEN))), "name": GIVEN})
    _table(con, "family_names", {"n": list(range(len(families))), "name": families})
    _table(con, "short_names", {"name": [a for a, _ in pairs], "short": [b for _, b in pairs]})
    return len(families)


def _table(con: duckdb.DuckDBPyConnection, name: str, columns: dict[str, Sequence[object]]) -> None:
    con.register("columns", pa.table(columns))
    con.execute(f"create or replace table {name} as select * from columns")
    con.unregister("columns")


def _skewed(rng: np.random.Generator, limit: int, size: int, power: float) -> np.ndarray:
    """Numbers below `limit`, low ones more often."""
    return np.minimum((rng.random(size) ** power * limit).astype(np.int64), limit - 1)


def _people(rng: np.random.Generator, people: int, families: int, per_household: float) -> pa.Table:
    household = np.sort(rng.integers(0, int(people / per_household), people))
    first_of_household = np.r_[True, household[1:] != household[:-1]]
    given = _skewed(rng, len(GIVEN), people, 1.7)
    family_of = _skewed(rng, families, int(people / per_household) + 1, 2.0)
    family = np.where(rng.random(people) < 0.85, family_of[household], _skewed(rng, families, people, 2.0))
    # one in 250 further members bears the name of the member before: father and son
    namesake = ~first_of_household & (rng.random(people) < 1 / 250)
    given[1:] = np.where(namesake[1:], given[:-1], given[1:])
    family[1:] = np.where(namesake[1:], family[:-1], family[1:])
    born = rng.integers(0, 22_000, people)
    twin = ~first_of_household & ~namesake & (rng.random(people) < 1 / 100)
    born[1:] = np.where(twin[1:], born[:-1], born[1:])
    company = rng.integers(0, max(people // 12, 1), people)
    family_firm = namesake & (rng.random(people) < 0.3)  # Smith & Son: both of one name at one company
    company[1:] = np.where(family_firm[1:], company[:-1], company[1:])
    return pa.table({
        "person": np.arange(people), "household": household, "given": given, "family": family, "born": born,
        "is_junior": namesake & (rng.random(people) < 0.3), "is_second": family_firm, "company": company,
        "has_mail": rng.random(people) < 0.92, "has_mobile": rng.random(people) < 0.92,
        "mail_host": rng.integers(0, len(FREE_MAIL), people), "mail_number": rng.integers(0, 1000, people),
    })  # fmt: skip


def _records(rng: np.random.Generator, people: int, records: int) -> pa.Table:
    copies = rng.choice([1, 2, 3, 4, 5, 6], people, p=[0.42, 0.25, 0.16, 0.09, 0.05, 0.03])
    person = np.repeat(np.arange(people), copies)[:records]
    size = len(person)
    columns = {f"r{n}": rng.random(size).astype(np.float32) for n in range(9)}
    columns |= {f"t{n}": rng.integers(0, 1_000_000, size) for n in range(3)}
    return pa.table({"record": rng.permutation(size), "person": person, **columns})


def _number(owner: str, factor: int, written: str, offset: int = 0) -> str:
    """SQL: an American number that no other owner has, however many there are: area and exchange repeat after 560,000."""
    line = f"({owner} * {factor} + {offset} + {owner} // 560000 * 37) % 10000"
    parts = f"201 + {owner} % 700, 200 + ({owner} // 700) % 800, {line}"
    return f"printf('{written}', {parts})"


_PEOPLE = f"""
create or replace table generated_people as
select p.person, p.household, p.company, g.name as given, f.name as family, p.is_junior, p.is_second,
    date '1940-01-01' + cast(p.born as integer) as birth_date,
    case when has_mail then lower(g.name) || case p.mail_number % 3 when 0 then '.' when 1 then '' else '_' end || lower(f.name)
        || cast(p.person % 9973 as varchar) || '@' || ({FREE_MAIL})[p.mail_host + 1] end as email,
    'family.' || lower(f.name) || p.household || '@gmx.de' as shared_email,
    case when has_mobile then {_number("p.person", 7919, "+1 %d %d %04d")} end as mobile,
    (p.household % 9000) || '-' || p.household as home, p.household as landline
from people_ints as p join given_names as g on g.n = p.given join family_names as f on f.n = p.family
"""


def _typo(column: str, draw: str, position: str) -> str:
    """SQL: one letter of the column dropped, doubled, replaced or swapped with its neighbour, where `draw` is true."""
    at = f"(2 + {position} % greatest(length({column}) - 2, 1))"
    letter = f"chr(97 + cast({position} // 7 % 26 as integer))"
    variants = [
        f"{column}[:{at} - 1] || {column}[{at} + 1:]",
        f"{column}[:{at}] || {letter} || {column}[{at} + 1:]",
        f"{column}[:{at} - 1] || {letter} || {column}[{at} + 1:]",
        f"{column}[:{at} - 1] || {column}[{at} + 1:{at} + 1] || {column}[{at}:{at}] || {column}[{at} + 2:]",
    ]
    cases = " ".join(f"when {n} then {variant}" for n, variant in enumerate(variants))
    return f"case when {draw} then case {position} // 11 % 4 {cases} end else {column} end"


_RECORDS = f"""
create or replace table generated_records as
with short as (select name, list(short order by short) as shorts from short_names group by name)
select r.record, p.*, r.r0, r.r1, r.r2, r.r3, r.r4, r.r5, r.r6, r.r7, r.r8, r.t0, r.t1, r.t2,
    'crm' || (r.record % 3) || ':' || lpad(cast(r.record as varchar), 8, '0') as contact_key,
    case when r.r0 < 0.05 and s.shorts is not null then s.shorts[1 + r.t2 % len(s.shorts)]
        when r.r0 < 0.09 then p.given[1:1] || '.'
        else {_typo("p.given", "r.r0 > 0.965", "r.t0")} end as shown_given,
    case when r.r1 < 0.012 then (select any_value(name) from family_names where n = 7) || lower(p.family[1:3])
        else {_typo("p.family", "r.r1 > 0.965", "r.t1")} end || case when p.is_junior and r.r8 < 0.6 then ' Jr.' else '' end as shown_family
from record_ints as r join generated_people as p on p.person = r.person
left join short as s on s.name = lower(p.given)
"""

_STREET = "cast(1 + {k} % 240 as varchar) || ' ' || (select name from family_names where n = {k} % 4000) || ' '"
_CONTACTS = f"""
insert into data_model.contacts by name
with streets as (select n, name from family_names where n < 4000),
placed as (
    select *, case when r4 < 0.08 then household * 31 + 5 + person % 3 when r4 < 0.15 then 5000000 + company else household end as place,
        r4 >= 0.80 as no_address
    from generated_records
)
select contact_key, split_part(contact_key, ':', 1) as source, split_part(contact_key, ':', 2) as contact_id,
    'crm0:' || company as account_key,
    case when r8 > 0.992 then shown_family else shown_given end as first_name,
    case when r8 > 0.992 then shown_given else shown_family end as last_name,
    case when r2 < 0.66 then {_typo("email", "r7 < 0.008", "t2")}
        when r2 < 0.80 then lower(given) || '.' || lower(family) || case when is_second then '2' else '' end || '@company' || company || '.com'
        when r2 < 0.83 then case t0 % 3 when 0 then 'info' when 1 then 'accounts.payable' else 'office' end || '@company' || company || '.com'
        when r2 < 0.86 then shared_email
        when r2 < 0.87 then 'n/a' end as email,
    case when r3 < 0.60 and r6 > 0.75 then case when t1 % 3 = 0 then replace(replace(mobile, '+1 ', ''), ' ', '-') else mobile end
        when r3 < 0.60 then null
        when r3 < 0.70 then {_number("landline", 7907, "(%d) %d-%04d", 13)}
        when r3 < 0.77 then {_number("company", 7901, "+1 %d %d %04d", 29)}
        when r3 < 0.775 then '000-000-0000' end as phone,
    case when r3 < 0.60 and r6 <= 0.75 then mobile end as mobile_phone,
    case when no_address then null else cast(1 + place % 240 as varchar) || ' ' || s.name || ' '
        || case when t2 % 2 = 0 then ({STREETS})[1 + place % 10] else ({SHORT_STREETS})[1 + place % 10] end
        || case when place % 5 = 0 then ', Apt ' || (1 + place % 40) else '' end end as street,
    case when no_address then null else ({CITIES})[1 + place // 240 % 100] end as city,
    case when no_address then null else lpad(cast(10000 + place // 240 % 80000 as varchar), 5, '0') end as postal_code,
    'US' as country,
    case when r5 < 0.35 then case when r6 < 0.01 then birth_date + 1 else birth_date end end as birth_date,
    timestamp '2025-01-01' - cast(t0 % 50000 as integer) * interval 1 hour as modified_at
from placed left join streets as s on s.n = place % 4000
"""  # fmt: skip

FORMS = ["GmbH", "AG", "Ltd", "Inc", "LLC", "SE", "GmbH & Co. KG", "S.A."]
FORMS_AS_WRITTEN = [
    ["GmbH", "Gesellschaft mbH"], ["AG", "Aktiengesellschaft"], ["Ltd", "Limited"], ["Inc.", "Incorporated"], ["LLC", "L.L.C."],
    ["SE"], ["GmbH & Co. KG"], ["S.A.", "SA"],
]  # fmt: skip
SIBLINGS = [
    "Holding",
    "Services",
    "Nord",
    "Süd",
    "International",
    "Logistics",
    "Retail",
    "Energy",
    "Digital",
    "Real Estate",
]


def load_companies(con: duckdb.DuckDBPyConnection, entities: int, *, seed: int = 1, sibling_share: float = 0.3) -> None:
    """Fill data_model.accounts with about two accounts per legal entity, and `truth` with the entity of each."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[object, ...]] = []
    entity = group = 0
    while entity < entities:
        group += 1
        core = "".join(rng.choice(SYLLABLES, rng.integers(2, 4))).capitalize() + rng.choice(
            ["", " Trading", " Systems", " Foods", " Tech"]
        )
        shared = _Place(rng, group)
        for sibling in range(int(rng.integers(2, 6)) if rng.random() < sibling_share else 1):
            rows += _accounts_of(rng, entity, core, sibling, shared)
            entity += 1
    names = [
        "party",
        "name",
        "tax_id",
        "vat_id",
        "email",
        "website",
        "phone",
        "street",
        "city",
        "postal_code",
        "country",
        "age",
    ]
    order = rng.permutation(len(rows))
    con.register("company_rows", pa.table({n: [rows[i][c] for i in order] for c, n in enumerate(names)}))
    con.execute("""
        create or replace table generated_accounts as
        select *, 'erp' || (row_number() over () % 2) || ':' || lpad(cast(row_number() over () as varchar), 7, '0') as account_key
        from company_rows""")
    con.unregister("company_rows")
    con.execute("""
        insert into data_model.accounts by name
        select account_key, split_part(account_key, ':', 1) as source, split_part(account_key, ':', 2) as account_id, name, tax_id, vat_id,
            email, website, phone, street, city, postal_code, country, timestamp '2025-01-01' - age * interval 1 hour as modified_at
        from generated_accounts""")
    con.execute("create or replace table truth as select account_key as record_key, party from generated_accounts")
    con.execute("drop table generated_accounts")


class _Place:
    """Where a group or an entity sits: domain, switchboard, street."""

    def __init__(self, rng: np.random.Generator, number: int) -> None:
        self.domain = f"firm{number}.com"
        self.phone = f"+49 40 {1000000 + number * 37 % 8999999}"
        self.street = f"{1 + number % 180} {''.join(rng.choice(SYLLABLES, 2)).capitalize()} {STREETS[number % 10]}"
        self.city = CITIES[number % 100]
        self.postal_code = f"{10000 + number % 80000}"


def _accounts_of(
    rng: np.random.Generator, entity: int, core: str, sibling: int, group: _Place
) -> list[tuple[object, ...]]:
    form = int(_skewed(rng, len(FORMS), 1, 1.4)[0])
    kind = rng.random()
    # siblings: another word, the same name with another form, or a twin in another town
    name = core if sibling == 0 or kind < 0.25 else f"{core} {SIBLINGS[int(rng.integers(len(SIBLINGS)))]}"
    own = _Place(rng, 1_000_000 + entity)
    digits = str(10_000_000 + entity * 7 % 89_999_999)
    vat = f"DE{digits}{mod_11_10.calc_check_digit(digits)}"
    place = group if rng.random() < 0.5 else own
    domain = group.domain if rng.random() < 0.85 else own.domain
    phone = group.phone if rng.random() < 0.5 else own.phone
    made: list[tuple[object, ...]] = []
    for _ in range(int(rng.choice([1, 2, 3, 4], p=[0.35, 0.35, 0.2, 0.1]))):
        r = rng.random(10)
        shown = _company_typo(rng, name) if r[0] < 0.07 else name
        if r[1] < 0.72:
            shown += " " + str(rng.choice(FORMS_AS_WRITTEN[form]))
        street = place.street.replace("Street", "St").replace("Avenue", "Ave") if r[2] < 0.4 else place.street
        made.append((
            entity, shown.upper() if r[3] < 0.15 else shown, vat if r[4] < 0.28 else None, vat if 0.5 < r[4] < 0.78 else None,
            f"info@{domain}" if r[5] < 0.5 else None, f"https://www.{domain}/" if r[6] < 0.5 else None, phone if r[7] < 0.6 else None,
            street if r[8] < 0.7 else None, place.city if r[8] < 0.75 else None, place.postal_code if r[8] < 0.72 else None, "DE", int(r[9] * 9000),
        ))  # fmt: skip
    return made


def _company_typo(rng: np.random.Generator, name: str) -> str:
    at = int(rng.integers(1, len(name) - 1))
    return rng.choice(
        [name[:at] + name[at + 1 :], name[:at] + name[at + 1] + name[at] + name[at + 2 :], name[:at] + "e" + name[at:]]
    )
