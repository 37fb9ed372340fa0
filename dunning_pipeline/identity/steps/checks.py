"""What must hold after every run, as one row per check in `identity.checks`; failing rows are counted, the first ones kept."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Sequence

from dunning_pipeline.identity.rulesets import Ruleset
from dunning_pipeline.identity.steps.identifiers import differs_within, is_constrained
from dunning_pipeline.identity.steps.step import WORK, Step, text

CHURN_LIMIT = 0.02  # of the records known before: more changing their profile in one run is worth a look


def checks(ruleset: Ruleset) -> Step:
    """Rows (party_kind, check_name, severity, failures, records, passed, message) of one kind."""
    kind = ruleset.kind
    parts = [
        _one(kind, "each_record_in_one_profile", "error", _not_once(kind), "records missing or in two profiles"),
        _one(kind, "no_constraint_violated", "error", _violated(ruleset), "profiles with two values of an attribute that may occur once"),
        _one(kind, "no_cannot_link_violated", "error", _forbidden(kind), "pairs in one profile that a person decided apart"),
        _one(kind, "one_profile_per_id", "error", _shared_ids(kind), "unified ids on two profiles"),
        _one(kind, "no_id_used_again", "error", _reused(kind), "new ids that had been used before"),
        _one(
            kind, "cluster_sizes", "error", _too_large(kind, ruleset.guards.cluster_size), "profiles larger than the ruleset allows"
        ),
        _one(kind, "nothing_quarantined", "warning", f"select distinct cluster_id from {WORK}.{kind}_quarantined",
             "clusters kept apart because they are over-full"),
        _churn(kind),
    ]  # fmt: skip
    return Step(f"{WORK}.{kind}_checks", " union all ".join(parts))


def _one(kind: str, name: str, severity: str, failing: str, message: str) -> str:
    return (
        f"select {text(kind)} as party_kind, {text(name)} as check_name, {text(severity)} as severity, count(*) as failures,"
        f" (select count(*) from {WORK}.{kind}_records) as records, count(*) = 0 as passed,"
        f" count(*) || ' ' || {text(message)} as message from ({failing}) as f"
    )


def _not_once(kind: str) -> str:
    """Records without a profile, and, where there are more rows than records, those with two."""
    profiles, records = f"{WORK}.{kind}_profiles", f"{WORK}.{kind}_records"
    more = f"(select count(*) from {profiles}) > (select count(*) from {records})"
    return (
        f"select r.record_id from {records} as r left join {profiles} as p on p.record_id = r.record_id where p.record_id is null"
        f" union all select record_id from {profiles} where {more} group by record_id having count(*) > 1"
    )


def _violated(ruleset: Ruleset) -> str:
    # a must-link of a person joins whatever the values say
    kind = ruleset.kind
    return (
        f"select p.cluster_id from {WORK}.{kind}_profiles as p join {WORK}.{kind}_identifiers as i on i.record_id = p.record_id"
        f" where p.members > 1 and {is_constrained(ruleset, 'i')} and p.cluster_id not in (select m.cluster_id from {WORK}.{kind}_must_link as d"
        f" join {WORK}.{kind}_profiles as m on m.record_id = d.left_id)"
        f" group by p.cluster_id having {differs_within(ruleset, 'i')}"
    )


def _forbidden(kind: str) -> str:
    return (
        f"select c.left_id from {WORK}.{kind}_cannot_link as c join {WORK}.{kind}_profiles as l on l.record_id = c.left_id"
        f" join {WORK}.{kind}_profiles as r on r.record_id = c.right_id where l.unified_id = r.unified_id"
    )


def _shared_ids(kind: str) -> str:
    return f"select unified_id from {WORK}.{kind}_profiles where record_id = cluster_id group by unified_id having count(*) > 1"


def _reused(kind: str) -> str:
    return f"select m.unified_id from {WORK}.{kind}_minted as m join {WORK}.{kind}_used_ids as u on u.unified_id = m.unified_id"


def _too_large(kind: str, limit: int) -> str:
    return f"select distinct cluster_id from {WORK}.{kind}_profiles where members > {limit}"


def _churn(kind: str) -> str:
    """Known records whose profile has another id than in the run before."""
    return f"""
        select {text(kind)}, 'id_churn', 'warning', count(*) filter (where o.unified_id <> p.unified_id), count(*),
            count(*) filter (where o.unified_id <> p.unified_id) <= {CHURN_LIMIT} * count(*),
            count(*) filter (where o.unified_id <> p.unified_id) || ' of ' || count(*) || ' known records have another id than before'
        from {WORK}.{kind}_carried as o
        join {WORK}.{kind}_profiles as p on p.record_id = o.record_id
    """


def names(kinds: Sequence[str]) -> Step:
    return Step("identity.checks", " union all ".join(f"select * from {WORK}.{kind}_checks" for kind in kinds))
