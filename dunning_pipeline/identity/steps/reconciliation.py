"""One value per field and profile: newest, most frequent or from the best source, ties as the rules of each say."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Sequence

from dunning_pipeline.identity.rulesets import Reconcile, Ruleset
from dunning_pipeline.identity.steps.step import WORK, Step, text

FIELDS = {
    "account": ("name", "party_type", "tax_id", "vat_id", "registry_number", "lei", "website", "email", "phone", "street", "city",
                "postal_code", "state", "country", "language", "time_zone", "currency"),
    "individual": ("first_name", "last_name", "full_name", "title", "birth_date", "email", "phone", "street", "city",
                   "postal_code", "state", "country", "language", "time_zone"),
}  # fmt: skip
NO_TIME = 9_000_000_000_000_000_000  # after every real time when times are negated: unknown times come last


def members(kind: str) -> Step:
    """Records of profiles with two records and more; `newest_first` is the negated time, a future one counts as none."""
    sql = f"""
        select p.unified_id, r.*,
            case when r.modified_at <= k.now then -epoch_us(r.modified_at) else {NO_TIME} end as newest_first
        from {WORK}.{kind}_records as r
        join {WORK}.{kind}_profiles as p on p.record_id = r.record_id
        cross join {WORK}.clock as k
        where p.members > 1
    """
    return Step(f"{WORK}.{kind}_members", sql)


def frequent_value(ruleset: Ruleset, field: str) -> Step:
    """unified_id → the most frequent value of one field; equally frequent: the last updated; then alphabetical."""
    value, where = _value(ruleset.reconciliation.of(field), field)
    sql = f"""
        select unified_id, min({{'times': -times, 'newest': newest, 'value': value}}).value as value from (
            select unified_id, {value} as value, count(*) as times, min(newest_first) as newest
            from {WORK}.{ruleset.kind}_members where {where} group by unified_id, {value}
        ) as counted group by unified_id
    """
    return Step(f"{WORK}.{ruleset.kind}_frequent_{field}", sql)


def reconciled(ruleset: Ruleset, frequent: Sequence[str]) -> Step:
    """One row per profile with several records: every field by its rule, in one pass over the records."""
    kind = ruleset.kind
    columns = []
    for field in FIELDS[kind]:
        if field in frequent:
            columns.append(f"any_value({field}_frequent.value) as {field}")
            continue
        rule = ruleset.reconciliation.of(field)
        value, where = _value(rule, field)
        pick = f"min({{'priority': {_priority(rule)}, 'newest': m.newest_first, 'value': {value}}})"
        columns.append(f"({pick} filter (where {where})).value as {field}")
    joins = "".join(
        f" left join {WORK}.{kind}_frequent_{field} as {field}_frequent on {field}_frequent.unified_id = m.unified_id"
        for field in frequent
    )
    sql = f"select m.unified_id, count(*) as members, {', '.join(columns)} from {WORK}.{kind}_members as m{joins} group by m.unified_id"
    return Step(f"{WORK}.{kind}_reconciled", sql)


def is_frequent(ruleset: Ruleset, field: str) -> bool:
    return ruleset.reconciliation.of(field).rule == "most_frequent"


def _value(rule: Reconcile, field: str) -> tuple[str, str]:
    written = field if field == "birth_date" else f"nullif(trim({field}), '')"
    return (written, f"{written} is not null") if rule.ignore_empty else (field, "true")


def _priority(rule: Reconcile) -> str:
    if rule.rule != "source_priority":
        return "0"
    whens = " ".join(f"when m.source = {text(name)} then {rank}" for rank, name in enumerate(rule.sources))
    return f"case {whens} else {len(rule.sources)} end"
