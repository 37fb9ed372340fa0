"""The tables that everyone else reads: links, profiles, contact points, evidence, suggestions, audit of skipped values."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from dunning_pipeline.identity.rulesets import Ruleset
from dunning_pipeline.identity.steps.reconciliation import FIELDS
from dunning_pipeline.identity.steps.records import address_key, phone_key
from dunning_pipeline.identity.steps.step import WORK, Step, text

ALONE = "alone"  # the rule of a record that nothing links to another


def rule_table(ruleset: Ruleset) -> list[tuple[str, str, float, int]]:
    """(rule, tier, confidence, strength) of all rules, a person's decision first."""
    rules = [(rule.rule, rule.tier, rule.certainty, number + 1) for number, rule in enumerate(ruleset.match_rules)]
    return [("decided", "A", 1.0, 0), *rules, ("splink", "C", 0.9, len(rules) + 1)]


def evidence(kind: str) -> Step:
    """One row per edge that holds a profile together: both records, the rule, the values it was made of."""
    sql = f"""
        select {text(kind)} as party_kind, l.unified_id, a.record_key as left_record, b.record_key as right_record, e.rule,
            t.tier, t.confidence, t.strength, e.block as shared_values, e.names
        from {WORK}.{kind}_edges as e
        join {WORK}.{kind}_profiles as l on l.record_id = e.left_record
        join {WORK}.{kind}_profiles as r on r.record_id = e.right_record and r.cluster_id = l.cluster_id
        join {WORK}.{kind}_records as a on a.record_id = e.left_record
        join {WORK}.{kind}_records as b on b.record_id = e.right_record
        join {WORK}.{kind}_rules as t on t.rule = e.rule
    """
    return Step(f"{WORK}.{kind}_evidence", sql)


def links(kind: str) -> Step:
    """One row per source record: its profile, and the strongest rule that holds it there."""
    keys = "account_key" if kind == "account" else "record_kind, r.contact_key, r.individual_key, r.account_key"
    sql = f"""
        with sides as (
            select e.left_record as record_id, t.strength, e.block, e.rule, e.right_record as other from {WORK}.{kind}_edges as e
            join {WORK}.{kind}_rules as t on t.rule = e.rule
            union all
            select e.right_record, t.strength, e.block, e.rule, e.left_record from {WORK}.{kind}_edges as e
            join {WORK}.{kind}_rules as t on t.rule = e.rule
        ),
        strongest as (
            select s.record_id, min(s.strength) as strength, arg_min(s.block, s.strength) as evidence
            from sides as s
            join {WORK}.{kind}_profiles as a on a.record_id = s.record_id
            join {WORK}.{kind}_profiles as b on b.record_id = s.other and b.cluster_id = a.cluster_id
            group by s.record_id
        )
        select r.source, r.source_record_id, r.record_key, r.{keys}, p.unified_id as unified_{kind}_id,
            coalesce(t.rule, case when p.members > 1 then 'joined' else {text(ALONE)} end) as rule, t.tier,
            coalesce(t.confidence, 1.0) as confidence, s.evidence, p.members
        from {WORK}.{kind}_records as r
        join {WORK}.{kind}_profiles as p on p.record_id = r.record_id
        left join strongest as s on s.record_id = r.record_id
        left join {WORK}.{kind}_rules as t on t.strength = s.strength
    """
    return Step(f"identity.{kind}_links", sql)


def unified(kind: str) -> Step:
    """One row per profile with its reconciled fields; a profile of one record shows that record."""
    fields = ", ".join(FIELDS[kind])
    own = ", ".join(name if name == "birth_date" else f"nullif(trim({name}), '')" for name in FIELDS[kind])
    count = "account_count" if kind == "account" else "record_count"
    shown = "" if kind == "account" else f", {_full_name()} as full_name"
    exclude = "" if kind == "account" else " exclude (full_name)"
    sql = f"""
        select *{exclude}{shown} from (
            select unified_id as unified_{kind}_id, {fields}, members as {count} from {WORK}.{kind}_reconciled
            union all
            select p.unified_id, {own}, 1 from {WORK}.{kind}_records as r
            join {WORK}.{kind}_profiles as p on p.record_id = r.record_id where p.members = 1
        ) as u
    """
    return Step(f"identity.unified_{kind}s", sql)


def _full_name() -> str:
    return "coalesce(full_name, nullif(trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), ''))"


def contact_points() -> Step:
    """Every e-mail address, phone and postal address of every record; nothing is reconciled away."""
    parts = []
    for kind in ("account", "individual"):
        contact = "null" if kind == "account" else "r.contact_key"
        mine = "p.unified_id" if kind == "account" else "a.unified_account_id"
        person = "null" if kind == "account" else "p.unified_id"
        base = f"{WORK}.{kind}_records as r join {WORK}.{kind}_profiles as p on p.record_id = r.record_id" + (
            "" if kind == "account" else " left join identity.account_links as a on a.account_key = r.account_key"
        )
        keys = f"r.record_kind, r.record_key, r.account_key, {contact} as contact_key, {mine} as unified_account_id, {person} as unified_individual_id"
        parts.append(
            f"select r.record_key || '#email' as contact_point_id, 'email' as kind, v.value as value_normalised,"
            f" r.email as value_as_written, {keys}, coalesce(v.mailbox = 'role', false) as is_role_mailbox, v.problem"
            f" from {base} left join identity_cache.emails as v on v.raw_key = r.email where r.email is not null"
        )
        for column in ("phone", "mobile_phone")[: 1 if kind == "account" else 2]:
            parts.append(
                f"select r.record_key || '#{column}', 'phone', v.value, r.{column}, {keys}, false, v.problem"
                f" from {base} left join identity_cache.phones as v on v.raw_key = {phone_key('r.' + column)} where r.{column} is not null"
            )
        written = "concat_ws(', ', r.street, concat_ws(' ', r.postal_code, r.city), r.state, r.country)"
        parts.append(
            f"select r.record_key || '#address', 'address', v.value, {written}, {keys}, false, v.problem"
            f" from {base} left join identity_cache.addresses as v on v.raw_key = {address_key('r.')}"
            " where r.street is not null or r.postal_code is not null"
        )
    return Step("identity.contact_points", " union all ".join(parts))
