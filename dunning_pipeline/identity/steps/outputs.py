"""The tables and views that everyone else reads: links, contact points, evidence."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Iterable

from dunning_pipeline.identity.rulesets import MatchRule, Ruleset
from dunning_pipeline.identity.steps.identifiers import is_text
from dunning_pipeline.identity.steps.stable_ids import MARK
from dunning_pipeline.identity.steps.step import WORK, Step, text

ALONE = "alone"  # the rule of a record that nothing links to another
RULES = (("strength", "integer"), ("rule", "varchar"), ("tier", "varchar"), ("confidence", "double"))


def rule_rows(ruleset: Ruleset) -> list[tuple[int, str, str, float]]:
    """(strength, rule, tier, confidence) of all rules, a person's decision first."""
    rules = [(number, rule.rule, rule.tier, rule.certainty) for number, rule in enumerate(ruleset.match_rules, start=1)]
    return [(0, "decided", "A", 1.0), *rules, (len(rules) + 1, "splink", "C", 0.9)]


def edges(kind: str) -> Step:
    """The edges that hold profiles together, as record numbers; `identity.evidence` shows them with their values."""
    return Step(
        f"identity.{kind}_edges",
        f"select e.left_record, e.right_record, e.strength, e.is_same, e.note from {WORK}.{kind}_edges as e"
        f" join {WORK}.{kind}_clusters as l on l.record_id = e.left_record"
        f" join {WORK}.{kind}_clusters as r on r.record_id = e.right_record and r.cluster_id = l.cluster_id",
    )


def links(kind: str) -> Step:
    """One row per source record: its profile, the strongest rule that holds it there, where its normal forms are, and its mark."""
    keys = (
        "account_key"
        if kind == "account"
        else "record_kind, r.contact_key, r.individual_key, r.account_key, r.birth_date"
    )
    sql = f"""
        with strongest as (
            select record_id, min(strength) as strength from (
                select left_record as record_id, strength from identity.{kind}_edges
                union all select right_record, strength from identity.{kind}_edges
            ) as sides group by record_id
        )
        select r.source, r.source_record_id, r.record_key, r.{keys}, p.unified_id as unified_{kind}_id,
            coalesce(t.rule, case when p.members > 1 then 'joined' else {text(ALONE)} end) as rule, t.tier,
            coalesce(t.confidence, 1.0) as confidence, p.members, r.record_id, r.content, {MARK[kind]} as mark
        from {WORK}.{kind}_records as r
        join {WORK}.{kind}_profiles as p on p.record_id = r.record_id
        left join strongest as s on s.record_id = r.record_id
        left join identity.{kind}_rules as t on t.strength = s.strength
    """
    return Step(f"identity.{kind}_links", sql)


def facts(kind: str) -> Step:
    """A view, one row per record: the normal forms of its content. They are stored once, by content."""
    own = (
        ""
        if kind == "account"
        else ", cast(l.birth_date as varchar) as birth_date, l.individual_key, l.account_key as account"
    )
    return Step(
        f"identity.{kind}_facts",
        f"select l.record_id{own}, f.* from identity.{kind}_links as l join identity_cache.{kind}_forms as f on f.content = l.content",
    )


def evidence(rulesets: Iterable[Ruleset]) -> Step:
    """A view, one row per edge that holds a profile together: both records, the rule, the values it was made of.

    Nothing of it is stored: the values are those that both records have, read when somebody asks why.
    """
    parts = []
    for ruleset in rulesets:
        kind = ruleset.kind
        parts.append(f"""
            select {text(kind)} as party_kind, l.unified_{kind}_id as unified_id, l.record_key as left_record, r.record_key as right_record,
                t.rule, t.tier, t.confidence, t.strength, {shared_values(ruleset)} as shared_values,
                case when e.strength = 0 then 'decided' when e.is_same then 'same' else 'near' end as names
            from identity.{kind}_edges as e
            join identity.{kind}_rules as t on t.strength = e.strength
            join identity.{kind}_links as l on l.record_id = e.left_record
            join identity.{kind}_links as r on r.record_id = e.right_record
            join identity.{kind}_facts as a on a.record_id = e.left_record
            join identity.{kind}_facts as b on b.record_id = e.right_record""")
    return Step("identity.evidence", " union all ".join(parts))


def shared_values(ruleset: Ruleset) -> str:
    """SQL of the values that made an edge `e` between the facts `a` and `b`."""
    whens = " ".join(
        f"when {n} then {_shared(ruleset.kind, rule)}" for n, rule in enumerate(ruleset.match_rules, start=1)
    )
    return f"coalesce(e.note, case e.strength {whens} end)"


def _shared(kind: str, rule: MatchRule) -> str:
    return " || '|' || ".join(_shown(kind, name) for name in rule.identifiers)


def _shown(kind: str, name: str) -> str:
    if name in ("phone", "mobile") and kind == "individual":
        return "case when a.phone in (b.phone, b.mobile_phone) then a.phone_value else a.mobile_phone_value end"
    return f"a.{name}" if is_text(name) else f"a.{name}_value"


def contact_points() -> Step:
    """A view: every e-mail address, phone and postal address of every record; nothing is reconciled away.

    `unified.contact_points` stores it; a second copy here would be the largest table of all.
    """
    return Step("identity.contact_points", f"{_points('account')} union all {_points('individual')}")


def _points(kind: str) -> str:
    phones: tuple[str, ...]
    if kind == "account":
        columns, phones = (
            "null as contact_key, l.unified_account_id, null as unified_individual_id, c.country",
            ("phone",),
        )
        joins = "join data_model.accounts as c on c.account_key = l.account_key"
    else:
        columns = (
            "l.contact_key, a.unified_account_id, l.unified_individual_id, coalesce(c.country, o.country) as country"
        )
        phones = ("phone", "mobile_phone")
        joins = (
            "join data_model.contacts as c on c.contact_key = l.contact_key and l.record_kind = 'contact'"
            " left join identity.account_links as a on a.account_key = l.account_key"
            " left join data_model.accounts as o on o.account_key = c.account_key"
        )
    record_kind = "'account' as record_kind" if kind == "account" else "l.record_kind"
    numbers = ", ".join(f"c.{p}, f.{p}_value, f.{p}_problem" for p in phones)
    keys = "record_kind, record_key, account_key, contact_key, unified_account_id, unified_individual_id"
    written = "concat_ws(', ', street, concat_ws(' ', postal_code, city), state, country)"
    parts = [
        f"select record_key || '#email' as contact_point_id, 'email' as kind, email_value as value_normalised, email as value_as_written,"
        f" {keys}, coalesce(mailbox = 'role', false) as is_role_mailbox, email_problem as problem from points where email is not null",
        *(
            f"select record_key || '#{p}', 'phone', {p}_value, {p}, {keys}, false, {p}_problem from points where {p} is not null"
            for p in phones
        ),
        f"select record_key || '#address', 'address', address_value, {written}, {keys}, false, address_problem"
        " from points where street is not null or postal_code is not null",
    ]
    return f"""select * from (
        with points as (
            select l.record_key, {record_kind}, l.account_key, {columns}, c.email, f.email_value, f.mailbox,
                case when f.mailbox = 'role' then null else f.email_problem end as email_problem, {numbers},
                c.street, c.city, c.postal_code, c.state, f.address_value, f.address_problem
            from identity.{kind}_links as l
            join identity_cache.{kind}_forms as f on f.content = l.content
            {joins}
        )
        {" union all ".join(parts)}
    )"""
