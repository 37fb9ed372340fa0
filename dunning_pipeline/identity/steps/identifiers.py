"""What the rules look at: one row per record with its usable identifiers, their guards, and what constrains its profile."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from collections.abc import Collection, Iterator

from dunning_pipeline.identity.rulesets import Ruleset
from dunning_pipeline.identity.steps.names import RELATED_BY
from dunning_pipeline.identity.steps.step import WORK, Step

Slot = tuple[str, str]  # column of an identifier, column of its guard

_PLAIN = {
    "individual": ("email", "address", "postal_code", "city", "birth_date", "individual_key", "account"),
    "account": (
        "tax_id", "vat_id", "registry_number", "lei", "account_number", "email", "phone", "domain", "address", "postal_code", "city",
    ),
}  # fmt: skip
_TEXTS = ("postal_code", "city", "birth_date", "individual_key", "account", "account_number", "domain")
_NUMBERED = {
    "individual": ("individual_key", "account", "postal_code", "birth_date"),
    "account": ("account_number", "domain", "postal_code"),
}
NO_VALUE = 2_000_000_000  # variant of the records without the value that varies: after all that have one
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


def numbers(kind: str) -> Iterator[Step]:
    """Tables (value, number) of the texts that blocks are made of: records are compared by number."""
    for name in _NUMBERED[kind]:
        distinct = f"select distinct {name} as value from {WORK}.{kind}_facts where {name} is not null"
        yield Step(f"{WORK}.{kind}_{name}_numbers", _numbered(distinct))


def variants(ruleset: Ruleset) -> Iterator[Step]:
    """Table (value, number) of all combinations of values that may occur once in a profile; none where it is one numbered value."""
    kind = ruleset.kind
    if _one_varies(ruleset):
        return
    distinct = f"select distinct {_variant(ruleset)} as value from {WORK}.{kind}_facts as f{_open_cases(kind)}"
    yield Step(f"{WORK}.{kind}_variant_numbers", _numbered(distinct))


def _one_varies(ruleset: Ruleset) -> str | None:
    """The only value that varies, where it is numbered anyway; only accounts have open cases."""
    varying = [name for name in _varying(ruleset) if ruleset.kind == "account" or name != "open_case"]
    return varying[0] if len(varying) == 1 and varying[0] in _NUMBERED[ruleset.kind] else None


def _numbered(values: str) -> str:
    return f"select value, cast(row_number() over (order by value) as integer) as number from ({values}) as v"


def _variant(ruleset: Ruleset) -> str:
    return " || '|' || ".join(
        f"coalesce(cast({'o' if c == 'open_case' else 'f'}.{c} as varchar), '')" for c in _varying(ruleset)
    )


def _varying(ruleset: Ruleset) -> list[str]:
    return [c for c in constraint_columns(ruleset).values() if c not in ("form", "generation")]


def _open_cases(kind: str) -> str:
    return f" left join {WORK}.{kind}_open_cases as o on o.record_id = f.record_id"


def identifiers(ruleset: Ruleset, guarded: Collection[str]) -> Step:
    """One row per record: name_id, variant, each identifier and its guard (why it links nothing by itself, else null).

    HOUSEHOLD values link only in rules that say `use_family_values`, SHARED ones only beside a second identifier.
    Records of two variants differ in a constraint and must not be taken for one in a star of edges. `guarded` are the kinds of
    identifiers that have guarded values at all.
    """
    kind = ruleset.kind
    columns, joins = [], _open_cases(kind)
    if varying := _one_varies(ruleset):
        variant = f"coalesce(n_{varying}.number, {NO_VALUE})"
    else:
        variant = "v.number"
        joins += f" join {WORK}.{kind}_variant_numbers as v on v.value = {_variant(ruleset)}"
    for name in _PLAIN[kind]:
        if name in _NUMBERED[kind]:
            columns.append(f"n_{name}.number as {name}")
            joins += f" left join {WORK}.{kind}_{name}_numbers as n_{name} on n_{name}.value = f.{name}"
        else:
            columns.append(f"f.{name}")
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
        f"select f.record_id, f.name_id, {variant} as variant, {', '.join(columns)}, f.{own}, o.open_case"
        f" from {WORK}.{kind}_facts as f{joins}",
    )


def names(kind: str) -> Step:
    """All that two names are compared by, a row per person's name, or per account."""
    if kind == "account":
        sql = f"""
            select record_id, name_id, core, form, first_word, word_set, replace(core, ' ', '') as letters,
                translate(core, 'abcdefghijklmnopqrstuvwxyz ', '') as digits
            from {WORK}.account_facts where name_id is not null
        """
    else:
        keys = ", ".join(f"{sql} as {key}" for key, sql in RELATED_BY.items())
        sql = f"""
            select n.*, coalesce(n.generation, '') as suffix, b.bearers, {keys} from identity_cache.names as n
            join (select name_id, count(*) as bearers from {WORK}.individual_facts group by name_id) as b on b.name_id = n.name_id
        """
    return Step(f"{WORK}.{kind}_names", sql)


def givens() -> Step:
    """How many records bear a given name: it tells names from typos."""
    return Step(
        f"{WORK}.givens",
        f"select given, cast(sum(bearers) as bigint) as given_count from {WORK}.individual_names group by given",
    )
