"""What the rules look at: one row per record with its usable identifiers, their guards, and what constrains its profile."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Collection

from dunning_pipeline.identity.rulesets import Ruleset
from dunning_pipeline.identity.steps.names import names_table
from dunning_pipeline.identity.steps.step import WORK, Step

Slot = tuple[str, str]  # column of an identifier, column of its guard

_PLAIN = {
    "individual": ("email", "address", "postal_code", "city", "birth_date", "individual_key", "account"),
    "account": (
        "tax_id", "vat_id", "registry_number", "lei", "account_number", "email", "phone", "domain", "address", "postal_code", "city",
    ),
}  # fmt: skip
_TEXTS = ("postal_code", "city", "birth_date", "individual_key", "account", "account_number", "domain")
HOUSEHOLD, SHARED = 1, 2  # guards, in columns of numbers: texts cost ten times as much to write
_CONSTRAINTS = {"legal_form": "form"}  # constraint → column, where they differ


def slots(kind: str, name: str) -> tuple[Slot, ...]:
    """Where a record has its values of one kind of identifier; a person has two numbers."""
    if kind == "individual" and name == "phone":
        return ("phone", "phone_guard"), ("mobile_phone", "mobile_phone_guard")
    if kind == "individual" and name == "mobile":
        return ("mobile", "mobile_guard"), ("mobile_phone", "mobile_phone_as_mobile_guard")
    return ((name, f"{name}_guard"),)


def is_text(name: str) -> bool:
    """Whether an identifier is compared as it is written; the others are compared by the id of their value."""
    return name in _TEXTS


def constraint_columns(ruleset: Ruleset) -> dict[str, str]:
    """Constraint → column of the identifiers table: one value in a whole profile; open cases of two ids keep apart as well."""
    return {name: _CONSTRAINTS.get(name, name) for name in (*ruleset.constraints.at_most_one, "open_case")}


def differs(ruleset: Ruleset, left: str, right: str) -> str:
    """SQL: the two rows differ in something that may occur once; open cases are told apart later, so that people hear of them."""
    return (
        " or ".join(f"{left}.{c} <> {right}.{c}" for c in constraint_columns(ruleset).values() if c != "open_case")
        or "false"
    )


def is_constrained(ruleset: Ruleset, alias: str) -> str:
    """SQL: the row has something that may occur once; only such rows can differ in it."""
    return "(" + " or ".join(f"{alias}.{c} is not null" for c in constraint_columns(ruleset).values()) + ")"


def differs_within(ruleset: Ruleset, alias: str) -> str:
    """SQL for HAVING: the rows of the group differ in something that may occur once."""
    return " or ".join(f"min({alias}.{c}) <> max({alias}.{c})" for c in constraint_columns(ruleset).values())


def mobile_numbers() -> Step:
    """Numbers that are mobile: by their range, or because any record has them in its mobile field."""
    sql = f"""
        select mobile_phone as id from {WORK}.individual_facts where mobile_phone is not null
        union select phone from {WORK}.individual_facts where phone_type = 'mobile' and phone is not null
    """
    return Step(f"{WORK}.individual_mobile_numbers", sql)


def _looked_at(ruleset: Ruleset) -> set[str]:
    """What rules and constraints look at: identifiers, and what is none (`first_name`)."""
    rules = ruleset.match_rules
    return {name for rule in rules for name in (*rule.identifiers, *rule.unless_conflict)} | set(
        constraint_columns(ruleset)
    )


def _variant(ruleset: Ruleset) -> str:
    """SQL of a number for the values of `f` and `o` that may occur once in a profile."""
    varying = [c for c in constraint_columns(ruleset).values() if c not in ("form", "generation")]
    return f"hash({', '.join(f'o.{c}' if c == 'open_case' else f'f.{c}' for c in varying)})"


def identifiers(ruleset: Ruleset, guarded: Collection[str]) -> Step:
    """One row per record: name_id, variant, each identifier and its guard (why it links nothing by itself, else null).

    HOUSEHOLD values link only in rules that say `use_family_values`, SHARED ones only beside a second identifier.
    Texts are compared by their number of 64 bits, as all values are. Records of two variants differ in a constraint and must not
    be taken for one in a star of edges. `guarded` are the kinds of identifiers that have guarded values at all.
    """
    kind, looked_at = ruleset.kind, _looked_at(ruleset)
    joins = f" left join {WORK}.{kind}_open_cases as o on o.record_id = f.record_id"
    columns = [
        f"case when f.{name} is not null then hash(f.{name}) end as {name}" if is_text(name) else f"f.{name}"
        for name in _PLAIN[kind]
        if name in looked_at
    ]
    found_in = [(name, f"f.{name}", f"{name}_guard", name) for name in _PLAIN[kind]]
    if kind == "individual":
        # a number in both fields counts once
        phone = "case when f.phone = f.mobile_phone then null else f.phone end"
        columns += [
            f"{phone} as phone",
            "f.mobile_phone",
            "case when f.phone <> coalesce(f.mobile_phone, 0) then m.id end as mobile",
        ]
        joins += f" left join {WORK}.individual_mobile_numbers as m on m.id = f.phone"
        found_in += [("phone", "f.phone", "phone_guard", "phone"), ("phone", "f.mobile_phone", "mobile_phone_guard", "mobile_phone"),
                     ("mobile", "f.phone", "mobile_guard", "mobile"), ("mobile", "f.mobile_phone", "mobile_phone_as_mobile_guard", "mobile_phone_as_mobile")]  # fmt: skip
    for name, column, guard, alias in found_in:
        if name not in guarded:
            columns.append(f"cast(null as tinyint) as {guard}")
            continue
        value = "written" if is_text(name) else "id"
        columns.append(f"g_{alias}.guard as {guard}")
        joins += f" left join (select {value} as value, guard from {WORK}.{kind}_guards where kind = '{name}') as g_{alias} on g_{alias}.value = {column}"
    own = "form" if kind == "account" else "generation"
    return Step(
        f"{WORK}.{kind}_identifiers",
        f"select f.record_id, f.name_id, {_variant(ruleset)} as variant, {', '.join(columns)}, f.{own}, o.open_case"
        f" from {WORK}.{kind}_facts as f{joins}",
    )


def account_names() -> Step:
    """All that the names of two accounts are compared by, a row per account; people's names have theirs in the cache."""
    return Step(
        f"{WORK}.account_names",
        f"""
            select record_id, name_id, core, form, first_word, word_set, replace(core, ' ', '') as letters,
                translate(core, 'abcdefghijklmnopqrstuvwxyz ', '') as digits
            from {WORK}.account_facts where name_id is not null
        """,
    )


def givens() -> Step:
    """How many records bear a given name: it tells names from typos."""
    return Step(
        f"{WORK}.givens",
        f"select n.given, cast(sum(b.bearers) as bigint) as given_count"
        f" from (select name_id, count(*) as bearers from {WORK}.individual_facts group by name_id) as b"
        f" join {names_table('individual')} as n on n.name_id = b.name_id group by n.given",
    )
