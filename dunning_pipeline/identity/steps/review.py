"""The review list and the audit tables: pairs that a person may decide, quarantined clusters, values that linked nothing."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Sequence

from dunning_pipeline.identity.rulesets import Ruleset
from dunning_pipeline.identity.steps.outputs import shared_values
from dunning_pipeline.identity.steps.records import shown_facts
from dunning_pipeline.identity.steps.step import WORK, Step, text


def apart(kind: str) -> Step:
    """Pairs of clusters that some rule would join: the strongest rule, its records and why the pair stays apart."""
    sql = f"""
        with pairs as (
            select left_record, right_record, strength, note, 'tier' as reason from {WORK}.{kind}_candidates
            union all
            select left_record, right_record, strength, note, 'constraint' from {WORK}.{kind}_edges
        )
        select least(l.cluster_id, r.cluster_id) as one, greatest(l.cluster_id, r.cluster_id) as other,
            min({{'strength': e.strength, 'reason': e.reason, 'left': least(e.left_record, e.right_record),
                  'right': greatest(e.left_record, e.right_record), 'note': e.note}}) as best
        from pairs as e
        join {WORK}.{kind}_clusters as l on l.record_id = e.left_record
        join {WORK}.{kind}_clusters as r on r.record_id = e.right_record and r.cluster_id <> l.cluster_id
        group by 1, 2
    """
    return Step(f"{WORK}.{kind}_apart", sql)


def suggestions(ruleset: Ruleset) -> Step:
    """One row per pair of profiles that some rule would join, the strongest rule first; decided pairs are left out.

    Reasons: `tier` (the rule only suggests), `constraint` (a rule that merges met two values that exclude each other).
    """
    kind = ruleset.kind
    sql = f"""
        with
        e as (
            select one, other, best.strength as strength, best.reason as reason, best."left" as left_id, best."right" as right_id,
                best.note as note
            from {WORK}.{kind}_apart
        ),
        forbidden as (
            select least(left_id, right_id) as left_id, greatest(left_id, right_id) as right_id from {WORK}.{kind}_cannot_link
        )
        select 'SG-' || upper(substr(md5(l.record_key || '|' || r.record_key), 1, 12)) as suggestion_id, {text(kind)} as party_kind,
            least(p.unified_id, q.unified_id) as left_id, greatest(p.unified_id, q.unified_id) as right_id,
            l.record_key as left_record, r.record_key as right_record, t.rule, t.tier, t.confidence, e.reason,
            {shared_values(ruleset)} as shared_values, e.strength
        from e
        join {WORK}.{kind}_profiles as p on p.record_id = e.one
        join {WORK}.{kind}_profiles as q on q.record_id = e.other
        join {WORK}.{kind}_records as l on l.record_id = e.left_id
        join {WORK}.{kind}_records as r on r.record_id = e.right_id
        join {shown_facts(kind)} as a on a.record_id = e.left_id
        join {shown_facts(kind)} as b on b.record_id = e.right_id
        join identity.{kind}_rules as t on t.strength = e.strength
        left join forbidden as x on x.left_id = e.left_id and x.right_id = e.right_id
        where x.left_id is null
    """
    return Step(f"{WORK}.{kind}_suggestions", sql)


def shared_outputs(kinds: Sequence[str]) -> list[Step]:
    """The tables that hold both kinds of party."""
    joined = {
        "identity.suggestions": "select * from {work}.{kind}_suggestions",
        "identity.skipped_values": "select * from {work}.{kind}_skipped",
        "identity.quarantined_clusters": "select '{kind}' as party_kind, min(r.record_key) as cluster_key, q.records,"
        " q.cluster_id, list_sort(list(r.record_key)) as record_keys from {work}.{kind}_quarantined as q"
        " join {work}.{kind}_records as r on r.record_id = q.record_id group by q.cluster_id, q.records",
        "identity.id_events": "select '{kind}' as party_kind, * from {work}.{kind}_all_events",
        "identity.id_redirects": "select '{kind}' as party_kind, * from {work}.{kind}_redirects",
    }
    return [
        Step(table, " union all ".join(sql.format(work=WORK, kind=kind) for kind in kinds))
        for table, sql in joined.items()
    ]
