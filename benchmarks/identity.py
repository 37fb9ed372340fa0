"""Identity resolution measured: precision and recall on populations of known truth, time beside Splink, hostile shapes.

`python -m benchmarks.identity [--people N] [--companies N] [--splink]`. Prints Markdown tables, exits 1 below a floor.
"""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import argparse
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.identity_population import load_companies, load_people
from dunning_pipeline.identity import ResolveReport, resolve
from dunning_pipeline.identity.engine import DuckDBEngine
from dunning_pipeline.identity.rulesets import Ruleset, load_ruleset
from dunning_pipeline.identity.steps.components import connect

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2025, 11, 3, 2, 0, tzinfo=UTC)
FLOORS = {
    "people A precision": 0.9999,
    "people A+B precision": 0.999,
    "people A recall": 0.74,
    "companies A precision": 0.9999,
}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--people", type=int, default=1_000_000)
    asked.add_argument("--companies", type=int, default=62_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--household", type=float, default=1.6, help="people per household")
    asked.add_argument("--splink", action="store_true", help="score the same people with Splink in the same run")
    options = asked.parse_args()
    reached = people(options) | companies(options)
    hostile_shapes(min(options.people // 50, 20_000))
    low = [f"{name}: {reached[name]:.5f} < {floor}" for name, floor in FLOORS.items() if reached[name] < floor]
    print("\n".join(["", *(f"BELOW ITS FLOOR  {line}" for line in low)]) if low else "\nAll floors hold.")
    sys.exit(bool(low))


def people(options: argparse.Namespace) -> dict[str, float]:
    con, shipped = _warehouse(), _rulesets()
    load_people(con, options.people, seed=options.seed, people_per_household=options.household)
    records, parties = con.execute("select count(*), count(distinct party) from truth").fetchall()[0]
    print(f"\n## People: {records:,} records of {parties:,} people\n")
    print("| rules | precision | recall | impure profiles | seconds | peak GB |\n|---|---|---|---|---|---|")
    reached: dict[str, float] = {}
    sets = {
        "cold first run": shipped,
        "A": shipped,
        "A+B": _with(shipped, merge_tiers=("A", "B")),
        "study T1 (e-mail or phone and near name)": _study_t1(shipped),
    }
    for name, rules in sets.items():
        seconds, report = _timed(con, rules)
        precision, recall, impure = quality(con, "individual")
        print(f"| {name} | {precision:.5f} | {recall:.4f} | {impure} | {seconds:.1f} | {_peak_gb():.1f} |", flush=True)
        reached |= {f"people {name} precision": precision, f"people {name} recall": recall}
        if name == "A":
            _print_parts(report)
            _print_rules(con)
    if options.splink:
        _splink(con, shipped)
    return reached


def companies(options: argparse.Namespace) -> dict[str, float]:
    con, shipped = _warehouse(), _rulesets()
    load_companies(con, options.companies, seed=options.seed)
    records, parties = con.execute("select count(*), count(distinct party) from truth").fetchall()[0]
    print(f"\n## Companies: {records:,} accounts of {parties:,} legal entities\n")
    print(
        "| rules | precision | recall | impure profiles | profiles with two tax ids | seconds |\n|---|---|---|---|---|---|"
    )
    reached: dict[str, float] = {}
    for name, rules in {"A": shipped, "A+B": _with(shipped, merge_tiers=("A", "B"))}.items():
        seconds, _ = _timed(con, rules)
        precision, recall, impure = quality(con, "account")
        two = con.execute(
            "select failures from identity.checks where party_kind = 'account' and check_name = 'no_constraint_violated'"
        )
        print(
            f"| {name} | {precision:.5f} | {recall:.4f} | {impure} | {two.fetchall()[0][0]} | {seconds:.1f} |",
            flush=True,
        )
        reached |= {f"companies {name} precision": precision, f"companies {name} recall": recall}
    return reached


def hostile_shapes(size: int) -> None:
    """Chains, stars, and many contacts on one phone, beside unremarkable data of the same size."""
    print(f"\n## Hostile shapes, {size:,} nodes or records\n\n| shape | seconds |\n|---|---|")
    shapes = {
        "pairs": "select 2 * range as left_id, 2 * range + 1 as right_id",
        "one chain": "select range as left_id, range + 1 as right_id",
        "one star": "select 0 as left_id, range + 1 as right_id",
    }
    for name, sql in shapes.items():
        con = duckdb.connect()
        engine = DuckDBEngine(con)
        con.execute(f"create table edges as {sql} from range({size})")
        started = time.perf_counter()
        connect(engine, edges="edges", into="labels")
        print(f"| components of {name} | {time.perf_counter() - started:.2f} |", flush=True)
    for name, phone in {
        "contacts with phones of their own": "'+4940' || (5000000 + range)",
        "contacts on one phone": "'+49405550120'",
    }.items():
        con = _warehouse()
        con.execute(
            f"insert into data_model.contacts by name select 'crm:' || range as contact_key, 'crm' as source, cast(range as varchar) as"
            f" contact_id, 'Kim' || chr(97 + cast(range % 26 as integer)) as first_name, 'Person' || translate(cast(range as varchar),"
            f" '0123456789', 'abcdefghij') as last_name, {phone} as mobile_phone from range({size})"
        )
        _timed(con, _rulesets())
        seconds, _ = _timed(con, _rulesets())
        print(f"| {name} | {seconds:.2f} |", flush=True)


def quality(con: duckdb.DuckDBPyConnection, kind: str) -> tuple[float, float, int]:
    """Pairwise precision and recall against `truth`, and the number of profiles with two parties in them."""
    con.execute(f"""create or replace temp table cells as select l.unified_{kind}_id as profile, t.party, count(*) as n
        from identity.{kind}_links as l join truth as t on t.record_key = l.record_key group by 1, 2""")
    (right,), (found,), (real,), (impure,) = con.execute("""
        select coalesce(sum(n * (n - 1) / 2), 0) from cells
        union all select coalesce(sum(n * (n - 1) / 2), 0) from (select sum(n) as n from cells group by profile)
        union all select sum(n * (n - 1) / 2) from (select sum(n) as n from cells group by party)
        union all select count(*) from (select profile from cells group by profile having count(*) > 1)""").fetchall()
    return (right / found if found else 1.0), right / real, int(impure)


def _splink(con: duckdb.DuckDBPyConnection, shipped: dict[str, Ruleset]) -> None:
    """The shipped model over the same normalised people, clustered at two thresholds; reading and scoring only, no training."""
    from dunning_pipeline.identity.constraints import Groups
    from dunning_pipeline.identity.scoring import scored_people

    resolve(con, None, run_id="splink", now=NOW, rulesets=shipped, keep_work=True)
    started = time.perf_counter()
    pairs = scored_people(con, ROOT / "policies" / "identity" / "individuals.splink.json", threshold=0.95)
    seconds = time.perf_counter() - started
    keys = dict(con.execute("select record_id, record_key from identity_work.individual_records").fetchall())
    for threshold in (0.95, 0.9999):
        groups = Groups(keys)
        for left, right, probability in pairs:
            if probability >= threshold:
                groups.join(left, right)
        con.execute(
            "create or replace table identity.individual_links (record_key varchar, unified_individual_id varchar)"
        )
        con.executemany(
            "insert into identity.individual_links values (?, ?)", [(keys[r], str(groups.root(r))) for r in keys]
        )
        precision, recall, impure = quality(con, "individual")
        print(
            f"| Splink 5, p >= {threshold} | {precision:.5f} | {recall:.4f} | {impure} | {seconds:.1f} (predict) | {_peak_gb():.1f} |"
        )


def _timed(con: duckdb.DuckDBPyConnection, rules: dict[str, Ruleset]) -> tuple[float, ResolveReport]:
    con.execute(
        "drop schema if exists identity cascade"
    )  # every run is a first one: ids and events are not compared here
    started = time.perf_counter()
    report = resolve(con, None, run_id="bench", now=NOW, rulesets=rules)
    return time.perf_counter() - started, report


def _print_parts(report: ResolveReport) -> None:
    parts = {name: seconds for name, seconds in report.seconds.items() if seconds >= 0.1}
    print("<!-- " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items()) + " -->")


def _print_rules(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute("""select e.rule, count(*), count(*) filter (where a.party <> b.party) from identity.evidence as e
        join truth as a on a.record_key = e.left_record join truth as b on b.record_key = e.right_record
        where party_kind = 'individual' group by 1 order by 2 desc""").fetchall()
    print("<!-- edges (wrong): " + ", ".join(f"{rule} {n:,} ({wrong})" for rule, n, wrong in rows) + " -->")


def _study_t1(shipped: dict[str, Ruleset]) -> dict[str, Ruleset]:
    """The two rules that the design study called T1, to show what the other rules add on the same population."""
    own = shipped["individual"].model_dump()
    near = {"field": "name", "method": "fuzzy", "precision": "high"}
    own["match_rules"] = [
        {"rule": f"{field}_and_name", "tier": "A", "criteria": [{"field": field, "method": "exact_normalized"}, near]}
        for field in ("email", "phone")
    ]
    return shipped | {"individual": Ruleset.model_validate(own)}


def _with(rules: dict[str, Ruleset], **changes: Any) -> dict[str, Ruleset]:
    return {kind: ruleset.model_copy(update=changes) for kind, ruleset in rules.items()}


def _rulesets() -> dict[str, Ruleset]:
    return {kind: load_ruleset(ROOT / "policies" / "identity", kind) for kind in ("account", "individual")}


def _warehouse() -> duckdb.DuckDBPyConnection:
    from ruamel.yaml import YAML

    con = duckdb.connect()
    con.execute("set timezone = 'UTC'; create schema data_model")
    schema = YAML(typ="safe").load((ROOT / "dbt_like_sql/data_model/schema.yml").read_text(encoding="utf-8"))
    for model in schema["models"]:
        columns = ", ".join(f"{column['name']} {column['data_type']}" for column in model["columns"])
        con.execute(f"create table data_model.{model['name']} ({columns})")
    return con


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
