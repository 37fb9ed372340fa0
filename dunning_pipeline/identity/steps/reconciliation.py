"""One value per field and profile: newest, most frequent or from the best source, ties as the rules of each say."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Collection

from dunning_pipeline.identity.rulesets import Reconcile, Ruleset
from dunning_pipeline.identity.steps.step import WORK, Step

FIELDS = {
    "account": ("name", "party_type", "tax_id", "vat_id", "registry_number", "lei", "website", "email", "phone", "street", "city",
                "postal_code", "state", "country", "language", "time_zone", "currency"),
    "individual": ("first_name", "last_name", "full_name", "title", "birth_date", "email", "phone", "street", "city",
                   "postal_code", "state", "country", "language", "time_zone"),
}  # fmt: skip
NO_TIME = 9_000_000_000_000_000_000  # after every real time when times are negated: unknown times come last


def members(kind: str) -> Step:
    """The records of profiles with two records and more; `newest_first` is the negated time, a future one counts as none."""
    return Step(
        f"{WORK}.{kind}_members",
        f"select p.cluster_id, r.record_id, case when r.modified_at <= k.now then -epoch_us(r.modified_at) else {NO_TIME} end as newest_first"
        f" from {WORK}.{kind}_records as r join {WORK}.{kind}_profiles as p on p.record_id = r.record_id"
        f" cross join {WORK}.clock as k where p.members > 1",
    )


def filled(kind: str) -> str:
    """Query of two columns per field: whether some record has a value, and whether some may be empty or have spaces around it."""
    columns = (
        f"count({field}) > 0, "
        # '!' is the first sign after the space: what is less begins with one, or is empty
        + (
            "false"
            if field == "birth_date"
            else f"coalesce(bool_or({field} < '!') or bool_or({field} like '% '), false)"
        )
        for field in FIELDS[kind]
    )
    return f"select {', '.join(columns)} from {WORK}.{kind}_records"


def tied(kind: str) -> Step:
    """Profiles in which two records changed at the same moment: there the order of times does not say which is the newest."""
    return Step(
        f"{WORK}.{kind}_tied",
        f"select distinct cluster_id from (select cluster_id from {WORK}.{kind}_members"
        " group by cluster_id, newest_first having count(*) > 1) as t",
    )


def reconciled(ruleset: Ruleset, *, of_tied: bool, empty: Collection[str], untidy: Collection[str]) -> Step:
    """One row per profile with several records: every field by its rule, in one pass over the records; `of_tied` ones apart.

    `empty` fields have no value in any record, `untidy` ones values to trim. A most frequent field has its value where all records agree, else `<field>_differs` is true and `frequent_value` finds it.
    """
    kind = ruleset.kind
    columns = ", ".join(f"r.{field}" for field in ("source", *FIELDS[kind]))
    members = (
        f"select m.cluster_id, m.newest_first, {columns} from {WORK}.{kind}_members as m"
        f" join {WORK}.{kind}_records as r on r.record_id = m.record_id"
    )
    tied = f"select cluster_id from {WORK}.{kind}_tied"
    if of_tied:
        members += f" where m.cluster_id in ({tied})"
    picked = _picked(ruleset, members, is_tied=of_tied, empty=empty, untidy=untidy)
    others = "" if of_tied else f" having cluster_id not in ({tied})"
    return Step(f"{WORK}.{kind}_reconciled", picked + others)


def _picked(ruleset: Ruleset, members: str, *, is_tied: bool, empty: Collection[str], untidy: Collection[str]) -> str:
    columns = []
    for field in FIELDS[ruleset.kind]:
        rule = ruleset.reconciliation.of(field)
        value, where = _value(rule, field, is_untidy=field in untidy)
        if field in empty:
            columns.append(f"any_value({field}) as {field}, false as {field}_differs")
        elif rule.rule == "most_frequent":
            least = f"min({value}) filter (where {where})"
            differs = (
                f"{least} <> max({value})"
                if rule.ignore_empty
                else f"count(distinct {value}) + count(distinct {value} is null) > 2"
            )
            columns.append(f"{least} as {field}, coalesce({differs}, false) as {field}_differs")
        elif is_tied or rule.rule == "source_priority" or not rule.ignore_empty:
            pick = f"min({{'priority': {_priority(rule)}, 'newest': newest_first, 'value': {value}}})"
            columns.append(f"({pick} filter (where {where})).value as {field}")
        else:
            columns.append(f"arg_min({value}, newest_first) as {field}")
    return f"select cluster_id, count(*) as members, {', '.join(columns)} from ({members}) as m group by cluster_id"


def frequent_value(ruleset: Ruleset, field: str, *, is_untidy: bool) -> Step:
    """cluster → the most frequent of different values; equally frequent: the last updated; then alphabetical."""
    kind = ruleset.kind
    value, where = _value(ruleset.reconciliation.of(field), field, is_untidy=is_untidy)
    sql = f"""
        select cluster_id, min({{'times': -times, 'newest': newest, 'value': value}}).value as value from (
            select cluster_id, {value} as value, count(*) as times, min(newest_first) as newest
            from (
                select m.cluster_id, m.newest_first, r.{field} from {WORK}.{kind}_members as m
                join {WORK}.{kind}_reconciled as d on d.cluster_id = m.cluster_id and d.{field}_differs
                join {WORK}.{kind}_records as r on r.record_id = m.record_id
            ) as differing
            where {where} group by cluster_id, {value}
        ) as counted group by cluster_id
    """
    return Step(f"{WORK}.{kind}_frequent_{field}", sql)


def frequent_fields(ruleset: Ruleset) -> list[str]:
    return [field for field in FIELDS[ruleset.kind] if ruleset.reconciliation.of(field).rule == "most_frequent"]


def unified(ruleset: Ruleset, *, untidy: Collection[str]) -> Step:
    """One row per profile with its reconciled fields; a profile of one record shows that record."""
    kind, frequent = ruleset.kind, frequent_fields(ruleset)
    several = ", ".join(
        f"coalesce({f}_frequent.value, c.{f}) as {f}" if f in frequent else f"c.{f}" for f in FIELDS[kind]
    )
    joins = "".join(
        f" left join {WORK}.{kind}_frequent_{f} as {f}_frequent on {f}_frequent.cluster_id = c.cluster_id"
        for f in frequent
    )
    own = ", ".join(_tidy(f"r.{f}") if f in untidy else f"r.{f}" for f in FIELDS[kind])
    count = "account_count" if kind == "account" else "record_count"
    shown = "" if kind == "account" else f", {_FULL_NAME} as full_name"
    exclude = "" if kind == "account" else " exclude (full_name)"
    sql = f"""
        select *{exclude}{shown} from (
            select p.unified_id as unified_{kind}_id, {several}, c.members as {count} from {WORK}.{kind}_reconciled as c
            join {WORK}.{kind}_profiles as p on p.record_id = c.cluster_id{joins}
            union all
            select p.unified_id, {own}, 1 from {WORK}.{kind}_records as r
            join {WORK}.{kind}_profiles as p on p.record_id = r.record_id where p.members = 1
        ) as u
    """
    return Step(f"identity.unified_{kind}s", sql)


_FULL_NAME = "coalesce(full_name, nullif(trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), ''))"


def _value(rule: Reconcile, field: str, *, is_untidy: bool) -> tuple[str, str]:
    written = _tidy(field) if is_untidy else field
    return (written, f"{written} is not null") if rule.ignore_empty else (field, "true")


def _tidy(column: str) -> str:
    return column if column.endswith("birth_date") else f"nullif(trim({column}), '')"


def _priority(rule: Reconcile) -> str:
    if rule.rule != "source_priority":
        return "0"
    whens = " ".join(f"when source = {_text(name)} then {rank}" for rank, name in enumerate(rule.sources))
    return f"case {whens} else {len(rule.sources)} end"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
