"""Splink as a second opinion: a model trained once scores pairs of people, and what it likes becomes a suggestion, no more.

Needs the extra `splink`. The model (policies/identity/individuals.splink.json) is trained by `train_model` on a population
with known errors, committed, and only read afterwards: estimating it anew would give other numbers on every engine version.
"""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import json
from pathlib import Path
from typing import Any

import duckdb

from dunning_pipeline.errors import NotThere
from dunning_pipeline.identity.steps.step import WORK

RULE = "splink"  # the rule name of its suggestions
THRESHOLD = 0.01  # match probability from which a pair is suggested
BLOCKING = (
    ("family", "given"), ("family", "birth_date"), ("given", "birth_date"), ("email",), ("phone",), ("postal_code", "given"),
    ("postal_code", "family"), ("street", "birth_date"), ("street", "city"), ("street", "postal_code"), ("street", "given"),
    ("street", "family"), ("city", "family"), ("city", "given"), ("birth_date", "postal_code"), ("birth_date", "city"),
)  # fmt: skip


def scored_people(
    con: duckdb.DuckDBPyConnection, model: Path, *, threshold: float = THRESHOLD
) -> list[tuple[int, int, float]]:
    """(left record_id, right record_id, probability) of the pairs at or above `threshold`; reads the work tables.

    Raises NotThere where the extra or the model is missing.
    """
    linker = _linker(con, _model(model))
    scored = linker.inference.predict(threshold_match_probability=threshold)
    return con.execute(
        f"select unique_id_l, unique_id_r, match_probability from {scored.physical_name} order by 1, 2"
    ).fetchall()


def train_model(con: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Estimate the model on the records of `con` (work tables of a resolved population) and write its JSON."""
    import splink.comparison_library as cl
    from splink import SettingsCreator, block_on

    settings = SettingsCreator(
        link_type="dedupe_only",
        blocking_rules_to_generate_predictions=[block_on(*columns) for columns in BLOCKING],
        comparisons=[
            cl.JaroWinklerAtThresholds("given", [0.92, 0.8]).configure(term_frequency_adjustments=True),
            cl.JaroWinklerAtThresholds("family", [0.92, 0.8]).configure(term_frequency_adjustments=True),
            cl.LevenshteinAtThresholds("birth_date", [1, 2]),
            cl.LevenshteinAtThresholds("email", [2]),
            cl.LevenshteinAtThresholds("phone", [1]),
            cl.LevenshteinAtThresholds("street", [2, 5]),
            cl.LevenshteinAtThresholds("postal_code", [1]),
            cl.LevenshteinAtThresholds("city", [2]),
        ],
        retain_intermediate_calculation_columns=False,
        retain_matching_columns=False,
    )
    linker = _linker(con, settings)
    linker.training.estimate_probability_two_random_records_match(
        [block_on("email", "family"), block_on("phone", "given")], recall=0.7
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
    for columns in (("family", "given"), ("email",), ("street", "birth_date")):
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(*columns))
    linker.misc.save_model_to_json(str(file), overwrite=True)


def _linker(con: duckdb.DuckDBPyConnection, settings: Any) -> Any:
    try:
        from splink import DuckDBAPI, Linker
    except ModuleNotFoundError:
        raise NotThere("the extra `splink` is not installed", remedy="install dunning-pipeline[splink]") from None
    con.execute(f"create or replace table scored_people as {people_sql()}")
    return Linker(
        DuckDBAPI(con).register(con.table("scored_people").to_arrow_table(), dataset_display_name="people"),
        settings,
        log_level=None,
    )


def people_sql() -> str:
    """One row per person record with the normalised values that the model compares, as text."""
    usable = "({0} is null or {0} = 'household')"
    values = ", ".join(
        f"case when {usable.format(f'i.{name}_guard')} then f.{name} end as {name}"
        for name in ("birth_date", "postal_code", "city")
    )
    return f"""
        select i.record_id as unique_id, f.given, f.family, {values},
            case when {usable.format("i.email_guard")} then f.email_value end as email,
            greatest(case when {usable.format("i.phone_guard")} then f.phone_value end,
                case when {usable.format("i.mobile_phone_guard")} then f.mobile_phone_value end) as phone,
            case when {usable.format("i.address_guard")} then split_part(f.address_value, '|', 1) end as street
        from {WORK}.individual_identifiers as i
        join identity.individual_facts as f on f.record_id = i.record_id
    """


def _model(file: Path) -> Any:
    if not file.is_file():
        raise NotThere(f"there is no trained model {file}", remedy="take the shipped one, or train with `train_model`")
    return json.loads(file.read_text(encoding="utf-8"))
