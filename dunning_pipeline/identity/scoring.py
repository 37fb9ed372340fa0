"""Splink as a second opinion: a model trained once scores pairs of people, and what it likes becomes a suggestion, no more.

Needs the extra `splink`. The model (policies/identity/individuals.splink.json) is trained by `train_model` on a population
with known errors, committed, and only read afterwards: estimating it anew would give other numbers on every engine version.
"""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from dunning_pipeline.errors import NotThere
from dunning_pipeline.identity.steps.identifiers import HOUSEHOLD
from dunning_pipeline.identity.steps.step import WORK

RULE = "splink"  # the rule name of its suggestions
THRESHOLD = 0.5  # match probability from which a pair is suggested
SELDOM = 0.001  # share of a level that the training saw in no pair of one kind
BLOCKING = (
    "l.family = r.family and l.given = r.given", "l.given = r.family and l.family = r.given", "l.birth_date = r.birth_date",
    "l.email = r.email", "l.phone = r.phone", *(f"l.{a} = r.{a} and l.{b} = r.{b}" for a, b in (
        ("postal_code", "given"), ("postal_code", "family"), ("street", "city"), ("street", "postal_code"),
        ("street", "given"), ("street", "family"), ("city", "family"), ("city", "given"),
    )),
)  # fmt: skip
_NEAR_NAMES = " or ".join(
    f"(jaro_winkler_similarity(given_l, {a}_r) >= 0.88 and jaro_winkler_similarity(family_l, {b}_r) >= 0.88)"
    for a, b in (("given", "family"), ("family", "given"))
)
_ONE_NEAR = (
    "given_l = family_r or family_l = given_r or jaro_winkler_similarity(family_l, family_r) >= 0.88"
    " or jaro_winkler_similarity(given_l, given_r) >= 0.88"
)
# comparison → (level, SQL of the pair, column by whose frequency its weight is adjusted, share of that adjustment), best first
_LEVELS: dict[str, tuple[tuple[str, str, str | None, float], ...]] = {
    "name": (
        # a quarter only: in a small set every name that two records share looks frequent
        ("same", '"full_name_l" = "full_name_r"', "full_name", 0.25),
        ("swapped", "given_l = family_r and family_l = given_r", "full_name", 0.5),
        ("both near", _NEAR_NAMES, None, 0), ("family", '"family_l" = "family_r"', "family", 1),
        ("given", '"given_l" = "given_r"', "given", 1), ("one near", _ONE_NEAR, None, 0),
    ),
    "birth_date": (
        ("same", '"birth_date_l" = "birth_date_r"', None, 0), ("one digit", "damerau_levenshtein(birth_date_l, birth_date_r) <= 1", None, 0),
        ("two digits", "damerau_levenshtein(birth_date_l, birth_date_r) <= 2", None, 0),
    ),
    "email": (
        ("same", '"email_l" = "email_r"', None, 0), ("near", "levenshtein(email_l, email_r) <= 2", None, 0),
        ("mailbox", "split_part(email_l, '@', 1) = split_part(email_r, '@', 1)", None, 0),
    ),
    "phone": (("same", '"phone_l" = "phone_r"', None, 0), ("near", "levenshtein(phone_l, phone_r) <= 1", None, 0)),
    "street": (
        ("same", '"street_l" = "street_r"', None, 0),
        ("near", "jaro_winkler_similarity(street_l, street_r) >= 0.92 or levenshtein(street_l, street_r) <= 2", None, 0),
        ("similar", "jaro_winkler_similarity(street_l, street_r) >= 0.84", None, 0),
    ),
    "postal_code": (
        ("same", '"postal_code_l" = "postal_code_r"', None, 0), ("near", "damerau_levenshtein(postal_code_l, postal_code_r) <= 1", None, 0),
    ),
    "city": (("same", '"city_l" = "city_r"', "city", 1), ("near", "damerau_levenshtein(city_l, city_r) <= 2", None, 0)),
}  # fmt: skip


def scored_people(
    con: duckdb.DuckDBPyConnection, model: Path, *, threshold: float = THRESHOLD, blocking: Sequence[str] | None = None
) -> list[tuple[int, int, float]]:
    """(left record_id, right record_id, probability) of the pairs at or above `threshold`; reads the work tables.

    Pairs are looked for by `blocking` (SQL of `l` and `r`), else by the model's own rules. Raises NotThere where the
    extra or the model is missing.
    """
    people = con.sql(people_sql()).to_arrow_table()
    # the model cannot know how many records it will see: about one pair of one party per record
    settings = _model(model) | {"probability_two_random_records_match": 1 / max(people.num_rows, 2)}
    if blocking:
        settings["blocking_rules_to_generate_predictions"] = list(blocking)
    scored = _linker(con, people, settings).inference.predict(threshold_match_probability=threshold)
    return con.execute(
        f"select unique_id_l, unique_id_r, match_probability from {scored.physical_name} order by 1, 2"
    ).fetchall()


def train_model(con: duckdb.DuckDBPyConnection, people: Any, file: Path) -> None:
    """Estimate the model on an Arrow table of people (columns of `people_sql`), without their truth, and write its JSON."""
    from splink import block_on

    linker = _linker(con, people, _untrained())
    linker.training.estimate_probability_two_random_records_match(
        [block_on("email", "family"), block_on("phone", "given"), block_on("family", "given", "postal_code")],
        recall=0.6,
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=1e7, seed=1)
    for columns in (("family", "given"), ("email",), ("street",), ("birth_date",)):
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(*columns))
    model = linker.misc.save_model_to_json()
    for level in (level for comparison in model["comparisons"] for level in comparison["comparison_levels"]):
        if not level.get("is_null_level"):
            level["m_probability"] = level.get("m_probability") or SELDOM
            level["u_probability"] = level.get("u_probability") or SELDOM
    file.write_text(json.dumps(model, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _untrained() -> dict[str, Any]:
    def level(name: str, sql: str, adjusted_by: str | None, share: float) -> dict[str, Any]:
        told = {"label_for_charts": name, "sql_condition": sql}
        return told | ({"tf_adjustment_column": adjusted_by, "tf_adjustment_weight": share} if adjusted_by else {})

    def comparison(name: str) -> dict[str, Any]:
        both = ("given", "family") if name == "name" else (name,)
        missing = " or ".join("(" + " and ".join(f'"{c}_{side}" is null' for c in both) + ")" for side in "lr")
        unknown = {"label_for_charts": "unknown", "sql_condition": missing, "is_null_level": True}
        other = {"label_for_charts": "other", "sql_condition": "ELSE"}
        levels = [unknown, *(level(*declared) for declared in _LEVELS[name]), other]
        return {"output_column_name": name, "comparison_levels": levels}

    return {
        "link_type": "dedupe_only", "blocking_rules_to_generate_predictions": list(BLOCKING),
        "comparisons": [comparison(name) for name in _LEVELS],
        "retain_intermediate_calculation_columns": False, "retain_matching_columns": False,
    }  # fmt: skip


def _linker(con: duckdb.DuckDBPyConnection, people: Any, settings: Any) -> Any:
    try:
        from splink import DuckDBAPI, Linker
    except ModuleNotFoundError:
        raise NotThere("the extra `splink` is not installed", remedy="install dunning-pipeline[splink]") from None
    return Linker(DuckDBAPI(con).register(people, dataset_display_name="people"), settings, log_level=None)


def people_sql() -> str:
    """One row per person record with the normalised values that the model compares, as text."""
    usable = f"({{0}} is null or {{0}} = {HOUSEHOLD})"
    values = ", ".join(
        f"case when {usable.format(f'i.{name}_guard')} then cast(f.{name} as varchar) end as {name}"
        for name in ("birth_date", "postal_code", "city")
    )
    return f"""
        select i.record_id as unique_id, n.given, n.family, n.given || ' ' || n.family as full_name, f.account, {values},
            case when {usable.format("i.email_guard")} then n.email_value end as email,
            greatest(case when {usable.format("i.phone_guard")} then n.phone_value end,
                case when {usable.format("i.mobile_phone_guard")} then n.mobile_phone_value end) as phone,
            case when {usable.format("i.address_guard")} then split_part(n.address_value, '|', 1) end as street
        from {WORK}.individual_identifiers as i
        join {WORK}.individual_facts as f on f.record_id = i.record_id
        -- not the names that are compared: half a name identifies nobody, and yet speaks for or against a pair
        join identity_cache.individual_forms as n on n.content = f.content
    """


def _model(file: Path) -> Any:
    if not file.is_file():
        raise NotThere(f"there is no trained model {file}", remedy="take the shipped one, or train with `train_model`")
    return json.loads(file.read_text(encoding="utf-8"))
