"""Value guards: what too many names share, and what belongs to a department, identifies nobody; every such value is kept."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Mapping

from dunning_pipeline.identity.steps.step import WORK, Step, text


def shared_values(kind: str, limits: Mapping[str, int]) -> Step:
    """Values that more different names share than the ruleset allows.

    Rows are counted first: only a value with more rows than its limit can have more names (names are counted there alone).
    """
    cases = " ".join(f"when {text(name)} then {limit}" for name, limit in sorted(limits.items()))
    limit = f"case kind {cases} end" if cases else "cast(null as bigint)"
    sql = f"""
        with crowded as (
            select kind, value, {limit} as name_limit
            from {WORK}.{kind}_values where value is not null and problem is null
            group by kind, value having count(*) > {limit}
        )
        select v.kind, v.value, count(distinct n.name_id) as names, count(*) as records
        from crowded
        join {WORK}.{kind}_values as v on v.kind = crowded.kind and v.value = crowded.value and v.problem is null
        left join {WORK}.{kind}_named as n on n.record_id = v.record_id
        group by v.kind, v.value, crowded.name_limit
        having count(distinct n.name_id) > crowded.name_limit
    """
    return Step(f"{WORK}.{kind}_shared_values", sql)


def household_values(kind: str) -> Step:
    """E-mails and phones that members of one family share: there, father and son of one name look like one person.

    A value counts where people of the same family name have given names that begin with different letters (no short forms) and the
    mailbox bears none of them, or where the mailbox says so itself (familie.mueller@).
    """
    if kind == "account":
        return Step(f"{WORK}.{kind}_household_values", "select '' as kind, '' as value where false")
    sql = f"""
        with named as (
            select distinct v.kind, v.value, n.family, n.given
            from {WORK}.{kind}_values as v
            join {WORK}.{kind}_named as n on n.record_id = v.record_id
            where v.kind in ('email', 'phone', 'mobile') and v.problem is null and n.name_id is not null
        ),
        families as (
            select kind, value, family from named group by kind, value, family
            having min(substr(given, 1, 1)) <> max(substr(given, 1, 1))
                and max(case when value like '%' || given || '%' then 1 else 0 end) = 0
        )
        select distinct a.kind, a.value
        from families as f
        join named as a on a.kind = f.kind and a.value = f.value and a.family = f.family
        join named as b on b.kind = f.kind and b.value = f.value and b.family = f.family
        left join {WORK}.nicknames as nick on nick.a = a.given and nick.b = b.given
        where length(a.given) > 1 and length(b.given) > 1 and substr(a.given, 1, 1) < substr(b.given, 1, 1)
            and nick.a is null
        union
        select 'email', value from identity_cache.emails where mailbox = 'family' and value is not null
    """
    return Step(f"{WORK}.{kind}_household_values", sql)


def identifiers(kind: str) -> Step:
    """All values that exist, with their record's name and why they link nothing by themselves (`guard`, else null).

    `household` values link only in rules that say `use_family_values`; other guarded values only beside
    a second identifier, if at all.
    """
    sql = f"""
        select v.record_id, n.name_id, coalesce(t.variant, '') as variant, v.kind, v.value,
            case when v.problem is not null then v.problem when s.value is not null then 'shared'
                when h.value is not null then 'household' end as guard
        from (select distinct record_id, kind, value, problem from {WORK}.{kind}_values where value is not null) as v
        join {WORK}.{kind}_named as n on n.record_id = v.record_id
        left join {WORK}.{kind}_shared_values as s on s.kind = v.kind and s.value = v.value
        left join {WORK}.{kind}_variants as t on t.record_id = v.record_id
        left join {WORK}.{kind}_household_values as h on h.kind = v.kind and h.value = v.value
    """
    return Step(f"{WORK}.{kind}_identifiers", sql)


def skipped_values(kind: str) -> Step:
    """The audit: every value that linked nothing, how many records had it, and why."""
    sql = f"""
        select {text(kind)} as party_kind, kind, value, problem as reason, count(*) as records, cast(null as bigint) as names
        from {WORK}.{kind}_values where problem is not null and problem <> 'empty' and value is not null
        group by kind, value, problem
        union all
        select {text(kind)}, kind, min(written), problem, count(*), null
        from {WORK}.{kind}_values where problem is not null and problem <> 'empty' and value is null
        group by kind, substr(written, 1, 80), problem
        union all
        select {text(kind)}, kind, value, 'shared', records, names from {WORK}.{kind}_shared_values
        union all
        select {text(kind)}, 'name', null, problem, count(*), null
        from {WORK}.{kind}_named where problem is not null and problem <> 'empty' group by problem
    """
    return Step(f"{WORK}.{kind}_skipped", sql)
