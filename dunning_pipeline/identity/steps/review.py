"""The review list and the audit tables: pairs that a person may decide, quarantined clusters, values that linked nothing."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Sequence

from dunning_pipeline.identity.steps.step import WORK, Step, text


def suggestions(kind: str) -> list[Step]:
    """One row per pair of profiles that some rule would join, the strongest rule first; decided pairs are left out.

    Reasons: `tier` (the rule only suggests), `constraint` (a rule that merges met two values that exclude each other).
    """
    sql = f"""
        with pairs as (
            select e.left_record, e.right_record, e.rule, e.block, 'tier' as reason from {WORK}.{kind}_candidates as e
            union all
            select e.left_record, e.right_record, e.rule, e.block, 'constraint' from {WORK}.{kind}_edges as e
        ),
        apart as (
            select least(l.unified_id, r.unified_id) as left_id, greatest(l.unified_id, r.unified_id) as right_id,
                min({{'strength': t.strength, 'rule': e.rule, 'tier': t.tier, 'confidence': t.confidence, 'reason': e.reason,
                      'block': e.block, 'left': least(a.record_key, b.record_key),
                      'right': greatest(a.record_key, b.record_key)}}) as best
            from pairs as e
            join {WORK}.{kind}_profiles as l on l.record_id = e.left_record
            join {WORK}.{kind}_profiles as r on r.record_id = e.right_record and r.cluster_id <> l.cluster_id
            join {WORK}.{kind}_records as a on a.record_id = e.left_record
            join {WORK}.{kind}_records as b on b.record_id = e.right_record
            join {WORK}.{kind}_rules as t on t.rule = e.rule
            group by 1, 2
        )
        select 'SG-' || upper(substr(md5(best."left" || '|' || best."right"), 1, 12)) as suggestion_id, {text(kind)} as party_kind,
            left_id, right_id, best."left" as left_record, best."right" as right_record, best.rule as rule, best.tier as tier,
            best.confidence as confidence, best.reason as reason, best.block as shared_values, best.strength as strength
        from apart
        where not exists (
            select 1 from {WORK}.{kind}_cannot_link as c
            join {WORK}.{kind}_records as a on a.record_id = c.left_id join {WORK}.{kind}_records as b on b.record_id = c.right_id
            where least(a.record_key, b.record_key) = best."left" and greatest(a.record_key, b.record_key) = best."right"
        )
    """
    return [Step(f"{WORK}.{kind}_suggestions", sql)]


def shared_outputs(kinds: Sequence[str]) -> list[Step]:
    """The tables that hold both kinds of party."""
    joined = {
        "identity.suggestions": "select * from {work}.{kind}_suggestions",
        "identity.evidence": "select * from {work}.{kind}_evidence",
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
