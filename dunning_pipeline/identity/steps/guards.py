"""Value guards: what too many names share, and what belongs to a family, identifies nobody by itself; all of it is kept."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Mapping

from dunning_pipeline.identity.steps.identifiers import HOUSEHOLD, SHARED, is_text
from dunning_pipeline.identity.steps.names import names_table
from dunning_pipeline.identity.steps.records import shown_facts
from dunning_pipeline.identity.steps.step import WORK, Step, text

_NOTHING = "select cast(null as varchar) as kind, cast(null as bigint) as id, cast(null as varchar) as written"


def _values(kind: str, name: str) -> str:
    """Query (value, name_id, record_id) of the records that have an identifier; a number in both fields counts once."""
    table = f"{WORK}.{kind}_facts"
    if kind != "individual" or name not in ("phone", "mobile"):
        return f"select {name} as value, name_id, record_id from {table} where {name} is not null"
    both = (
        f"select phone as value, name_id, record_id from {table} where phone is not null and phone <> coalesce(mobile_phone, 0)"
        f" union all select mobile_phone, name_id, record_id from {table} where mobile_phone is not null"
    )
    if name == "phone":
        return both
    return f"select v.value, v.name_id, v.record_id from ({both}) as v join {WORK}.individual_mobile_numbers as m on m.id = v.value"


# identifiers whose values are counted once for both questions: how many names share them, and are these of one family
COUNTED = {"individual": ("email", "phone"), "account": ()}


def counted_values(kind: str, name: str) -> Step:
    """The values of one kind of identifier that several records have, with their number, and the least and greatest name."""
    rows = _values(kind, name)
    return Step(
        f"{WORK}.{kind}_{name}_counts",
        f"select value, count(*) as records, min(name_id) as least_name, max(name_id) as greatest_name from ({rows}) as v"
        " group by value having count(*) > 1",
    )


def _crowded(kind: str, name: str, limit: int) -> str:
    """Query of the values that more rows than `limit` have; every mobile number is counted as a phone as well."""
    counted = "phone" if name == "mobile" else name
    if limit and counted in COUNTED[kind]:
        return f"select value from {WORK}.{kind}_{counted}_counts where records > {limit}"
    return f"select value from ({_values(kind, name)}) as c group by value having count(*) > {limit}"


def shared_values(kind: str, limits: Mapping[str, int]) -> Step:
    """Values that more different names share than the ruleset allows.

    Rows are counted first: only a value with more rows than its limit can have more names (names are counted there alone).
    """
    parts = [f"{_NOTHING}, 0 as names, 0 as records, 0 as example where false"]
    for name, limit in sorted(limits.items()):
        shown = (
            "cast(null as bigint) as id, cast(value as varchar) as written"
            if is_text(name)
            else "value as id, cast(null as varchar) as written"
        )
        rows = _values(kind, name)
        parts.append(
            f"select {text(name)} as kind, {shown}, names, records, example from ("
            " select value, count(distinct name_id) as names, count(*) as records, min(record_id) as example"
            f" from ({rows}) as v where value in ({_crowded(kind, name, limit)}) group by value) as n where names > {limit}"
        )
    return Step(f"{WORK}.{kind}_shared_values", " union all ".join(parts))


def household_values(kind: str) -> Step:
    """E-mails and phones that members of one family share: there, father and son of one name look like one person.

    A value counts where people of the same family name have given names that begin with different letters (no short forms) and the
    mailbox bears none of them, or where the mailbox says so itself (familie.mueller@).
    """
    table = f"{WORK}.{kind}_household_values"
    if kind == "account":
        return Step(table, "select cast(null as varchar) as kind, cast(null as bigint) as id where false")
    facts, names = f"{WORK}.individual_facts", names_table("individual")
    values = {
        "email": f"select email as id, name_id from {facts} where email is not null and name_id is not null",
        "phone": f"select phone as id, name_id from {facts} where phone is not null and name_id is not null union all"
        f" select mobile_phone, name_id from {facts} where mobile_phone is not null and name_id is not null",
    }
    held = " union all ".join(
        f"select '{name}' as kind, v.id, v.name_id, n.family_key, substr(n.given, 1, 1) as initial from ({rows}) as v"
        f" join (select value as id from {WORK}.individual_{name}_counts where least_name <> greatest_name) as s on s.id = v.id"
        f" join {names} as n on n.name_id = v.name_id"
        for name, rows in values.items()
    )
    sql = f"""
        with held as ({held}),
        families as (
            select kind, id, family_key from held group by kind, id, family_key having min(initial) <> max(initial)
        ),
        named as (
            select distinct h.kind, h.id, n.family, n.given from held as h
            join families as f on f.kind = h.kind and f.id = h.id and f.family_key = h.family_key
            join {names} as n on n.name_id = h.name_id
        ),
        bearing as (
            select distinct n.id, n.family from named as n join identity_cache.individual_forms as w on w.email = n.id
            where n.kind = 'email' and w.email_value like '%' || n.given || '%'
        )
        select distinct a.kind, a.id
        from named as a
        join named as b on b.kind = a.kind and b.id = a.id and b.family = a.family
        left join {WORK}.nicknames as nick on nick.a = a.given and nick.b = b.given
        left join bearing as x on a.kind = 'email' and x.id = a.id and x.family = a.family
        where length(a.given) > 1 and length(b.given) > 1 and substr(a.given, 1, 1) < substr(b.given, 1, 1)
            and nick.a is null and x.id is null
        union
        select 'email', email from {facts} where mailbox = 'family' and email is not null
    """
    return Step(table, sql)


def guards(kind: str) -> Step:
    """Guarded values of every kind of identifier (kind; id or written; guard): shared counts before household."""
    sql = f"""
        select kind, id, written, cast({SHARED} as tinyint) as guard from {WORK}.{kind}_shared_values
        union all
        select h.kind, h.id, cast(null as varchar), cast({HOUSEHOLD} as tinyint)
        from (
            select kind, id from {WORK}.{kind}_household_values
            union all select 'mobile', id from {WORK}.{kind}_household_values where kind = 'phone'
        ) as h
        left join {WORK}.{kind}_shared_values as s on s.kind = h.kind and s.id = h.id
        where s.kind is null
    """
    return Step(f"{WORK}.{kind}_guards", sql)


def skipped_values(kind: str) -> Step:
    """The audit: every value that linked nothing, how many records had it, and why."""
    facts, records = shown_facts(kind), f"{WORK}.{kind}_records"
    parts = [
        f"select '{name}' as kind, {value} as value, {written} as written, f.{problem} as problem"
        f" from {facts} as f join {records} as r on r.record_id = f.record_id where f.{problem} is not null and f.{problem} <> 'empty'"
        for name, value, written, problem in _problems(kind)
    ]
    shown = " ".join(f"when '{name}' then {value}" for name, value in _shown(kind).items())
    sql = f"""
        select {text(kind)} as party_kind, kind, coalesce(value, min(written)) as value, problem as reason, count(*) as records,
            cast(null as bigint) as names
        from ({" union all ".join(parts)}) as p group by kind, value, substr(case when value is null then written end, 1, 80), problem
        union all
        select {text(kind)}, s.kind, coalesce(s.written, case s.kind {shown} end), 'shared', s.records, s.names
        from {WORK}.{kind}_shared_values as s join {facts} as f on f.record_id = s.example
        union all
        select {text(kind)}, 'name', null, name_problem, count(*), null
        from {facts} as f where name_problem is not null and name_problem <> 'empty' group by name_problem
    """
    return Step(f"{WORK}.{kind}_skipped", sql)


def _problems(kind: str) -> list[tuple[str, str, str, str]]:
    """(kind of identifier, SQL of its normal form, SQL of what was written, column of the problem)."""

    def same(name: str) -> tuple[str, str, str, str]:
        return name, f"f.{name}_value", f"r.{name}", f"{name}_problem"

    if kind == "individual":
        mobile = ("phone", "f.mobile_phone_value", "r.mobile_phone", "mobile_phone_problem")
        birth = ("birth_date", "cast(null as varchar)", "cast(r.birth_date as varchar)", "birth_date_problem")
        return [same("email"), same("phone"), mobile, birth]
    domain = ("domain", "split_part(f.email_value, '@', 2)", "r.email", "domain_problem")
    return [*(same(name) for name in ("email", "phone", "tax_id", "vat_id", "registry_number", "lei")), domain]


def _shown(kind: str) -> dict[str, str]:
    phone = (
        "case when f.phone = s.id then f.phone_value else f.mobile_phone_value end"
        if kind == "individual"
        else "f.phone_value"
    )
    shown = {"email": "f.email_value", "address": "f.address_value", "phone": phone}
    if kind == "individual":
        return shown | {"mobile": phone}
    return shown | {name: f"f.{name}_value" for name in ("tax_id", "vat_id", "registry_number", "lei")}
