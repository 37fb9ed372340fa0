"""Steps that carry unified ids from run to run: overlap with the last run, what is uncontested, what is new, what happened."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from dunning_pipeline.identity.steps.step import WORK, Step, text

PREFIX = {"account": "UA-", "individual": "UI-"}


def overlaps(kind: str) -> Step:
    """cluster × old id: how many records they share. A record whose key its source changed counts by its mark."""
    sql = f"""
        select c.cluster_id, p.unified_id as old_id, count(*) as shared
        from {WORK}.{kind}_clusters as c
        join (
            select record_id, unified_id from {WORK}.{kind}_carried
            union all select record_id, unified_id from {WORK}.{kind}_rekeyed
        ) as p on p.record_id = c.record_id
        group by c.cluster_id, p.unified_id
    """
    return Step(f"{WORK}.{kind}_overlaps", sql)


def carried(kind: str) -> Step:
    """record → the unified id that it had in the run before."""
    return Step(
        f"{WORK}.{kind}_carried",
        f"select r.record_id, p.unified_id from {WORK}.{kind}_previous as p join {WORK}.{kind}_records as r on r.record_key = p.record_key",
    )


# SQL of what tells a record `r` from others of its source when that renames all its ids, a company's account number too
MARK = {
    "account": "hash(r.name, r.tax_id, r.vat_id, r.email, r.phone, r.street, r.postal_code)",
    "individual": "hash(r.record_kind, r.first_name, r.last_name, r.full_name, r.email, r.phone, r.street, r.postal_code)",
}


def rekeyed(kind: str) -> Step:
    """New records whose mark was that of exactly one vanished record of the same source, with its unified id and both keys.

    A mark is DuckDB's own hash: another version of DuckDB may count otherwise, and then knows nobody again on the day of
    its change.
    """
    sql = f"""
        with gone as (
            select o.source, o.mark, min(o.record_key) as old_key
            from identity.{kind}_links as o
            left join {WORK}.{kind}_records as r on r.record_key = o.record_key
            where r.record_key is null group by o.source, o.mark having count(*) = 1
        ),
        arrived as (
            select r.source, {MARK[kind]} as mark, min(r.record_id) as record_id, min(r.record_key) as new_key
            from {WORK}.{kind}_records as r
            left join {WORK}.{kind}_carried as c on c.record_id = r.record_id
            where c.record_id is null group by r.source, mark having count(*) = 1
        )
        select arrived.record_id, p.unified_id, gone.old_key, arrived.new_key
        from arrived
        join gone on gone.source = arrived.source and gone.mark = arrived.mark
        join {WORK}.{kind}_previous as p on p.record_key = gone.old_key
    """
    return Step(f"{WORK}.{kind}_rekeyed", sql)


def uncontested(kind: str) -> Step:
    """Clusters and old ids that have only each other."""
    sql = f"""
        select o.cluster_id, o.old_id as unified_id
        from {WORK}.{kind}_overlaps as o
        join (select cluster_id from {WORK}.{kind}_overlaps group by cluster_id having count(*) = 1) as c on c.cluster_id = o.cluster_id
        join (select old_id from {WORK}.{kind}_overlaps group by old_id having count(*) = 1) as i on i.old_id = o.old_id
    """
    return Step(f"{WORK}.{kind}_kept", sql)


def minted(kind: str, run_id: str, salt: int) -> Step:
    """New ids of the clusters that kept none: from the first record's key and the run, so that no old id comes back."""
    seed = f"r.record_key || '|' || {text(run_id)} || '|{salt}'"
    sql = f"""
        select s.cluster_id, {text(PREFIX[kind])} || upper(substr(md5({seed}), 1, 12)) as unified_id, s.members
        from {WORK}.{kind}_sizes as s
        join {WORK}.{kind}_records as r on r.record_id = s.cluster_id
        where s.cluster_id not in (select cluster_id from {WORK}.{kind}_kept)
    """
    return Step(f"{WORK}.{kind}_minted", sql)


def profiles(kind: str) -> Step:
    """record → unified id, with the number of records of its profile."""
    sql = f"""
        with assigned as (
            select k.cluster_id, k.unified_id, s.members from {WORK}.{kind}_kept as k
            join {WORK}.{kind}_sizes as s on s.cluster_id = k.cluster_id
            union all select cluster_id, unified_id, members from {WORK}.{kind}_minted
        )
        select c.record_id, c.cluster_id, a.unified_id, a.members
        from {WORK}.{kind}_clusters as c
        join assigned as a on a.cluster_id = c.cluster_id
    """
    return Step(f"{WORK}.{kind}_profiles", sql)


def events(kind: str, *, is_first: bool) -> Step:
    """What became of the ids: new, merge (old into new), split (a part of old became new), retire (no record is left)."""
    sql = f"""
        with flows as (
            select o.old_id, min(p.unified_id) as new_id, max(o.shared) as shared
            from {WORK}.{kind}_overlaps as o
            join (select distinct cluster_id, unified_id from {WORK}.{kind}_profiles) as p on p.cluster_id = o.cluster_id
            group by o.old_id, p.cluster_id
        ),
        living as (select distinct unified_id from {WORK}.{kind}_profiles)
        select 'merge' as event, f.old_id, f.new_id, f.shared from flows as f
        where f.old_id <> f.new_id and f.old_id not in (select unified_id from living)
        union all
        select 'split', f.old_id, f.new_id, f.shared from flows as f
        where f.old_id <> f.new_id and f.old_id in (select unified_id from living)
        union all
        select 'retire', p.unified_id, null, count(*) from {WORK}.{kind}_previous as p
        where p.unified_id not in (select unified_id from living) and p.unified_id not in (select old_id from flows)
        group by p.unified_id
        union all
        select 'new', null, m.unified_id, 0 from {WORK}.{kind}_minted as m
        where m.unified_id not in (select new_id from flows where old_id <> new_id)
    """
    if is_first:  # it makes every id: a million `new` events would say nothing
        sql = (
            "select cast(null as varchar) as event, cast(null as varchar) as old_id, cast(null as varchar) as new_id,"
            " cast(null as bigint) as shared where false"
        )
    return Step(f"{WORK}.{kind}_events", sql)
