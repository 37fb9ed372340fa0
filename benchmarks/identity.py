"""Identity resolution measured: precision and recall on populations of known truth, time beside Splink, hostile shapes.

`python -m benchmarks.identity [--people N] [--companies N] [--splink] [--spark]`. Prints Markdown tables, exits 1 below a floor.
"""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import argparse
import resource
import sys
import tempfile
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
    asked.add_argument("--memory", help="limit of the database's memory, as 2500MB; the warehouse is a file then")
    asked.add_argument("--splink", action="store_true", help="score the same people with Splink in the same run")
    asked.add_argument("--spark", action="store_true", help="cluster the same people on Spark and compare")
    options = asked.parse_args()
    reached = people(options) | companies(options)
    hostile_shapes(chain=min(options.people, 20_000), star=options.people, contacts=min(options.people, 50_000))
    low = [f"{name}: {reached[name]:.5f} < {floor}" for name, floor in FLOORS.items() if reached[name] < floor]
    print("\n".join(["", *(f"BELOW ITS FLOOR  {line}" for line in low)]) if low else "\nAll floors hold.")
    sys.exit(bool(low))


def people(options: argparse.Namespace) -> dict[str, float]:
    con, shipped = _warehouse(options.memory), _rulesets()
    load_people(con, options.people, seed=options.seed, people_per_household=options.household)
    records, parties = con.execute("select count(*), count(distinct party) from truth").fetchall()[0]
    print(f"\n## People: {records:,} records of {parties:,} people\n")
    print(
        "| rules | precision | recall | impure profiles | seconds | CPU seconds | peak GB |\n|---|---|---|---|---|---|---|"
    )
    reached: dict[str, float] = {}
    sets = {
        "cold first run": shipped,
        "A": shipped,
        "A+B": _with(shipped, merge_tiers=("A", "B")),
        "study T1 (e-mail or phone and near name)": _study(shipped, "email", "phone"),
        "study T2 (or address and near name, nothing conflicting)": _study(shipped, "email", "phone", "address"),
    }
    for name, rules in sets.items():
        cpu = time.process_time()
        seconds, report = _timed(con, rules)
        cpu = time.process_time() - cpu
        precision, recall, impure = quality(con, "individual")
        print(
            f"| {name} | {precision:.5f} | {recall:.4f} | {impure} | {seconds:.1f} | {cpu:.1f} | {_peak_gb():.1f} |",
            flush=True,
        )
        reached |= {f"people {name} precision": precision, f"people {name} recall": recall}
        if name == "A":
            _print_parts(report, seconds)
            _print_rules(con)
            _print_contact_points(con)
    if options.splink:
        _splink(con, shipped)
    if options.spark:
        _spark(con, shipped)
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


def hostile_shapes(*, chain: int, star: int, contacts: int) -> None:
    """Chains, stars, and many contacts on one phone, each beside unremarkable data of the same size."""
    print("\n## Hostile shapes\n\n| shape | CPU seconds | of unremarkable data |\n|---|---|---|")
    pairs = "select 2 * range as left_id, 2 * range + 1 as right_id"
    shapes = {
        f"a chain of {chain:,}": ("select range as left_id, range + 1 as right_id", chain),
        f"a star of {star:,}": ("select 0 as left_id, range + 1 as right_id", star),
    }
    for name, (sql, size) in shapes.items():
        print(f"| {name} | {_connected(sql, size):.2f} | {_connected(pairs, size):.2f} |", flush=True)
    one, own = "'+49405550120'", "'+4940' || (5000000 + range)"
    print(f"| {contacts:,} contacts on one phone | {_resolved(one, contacts):.2f} | {_resolved(own, contacts):.2f} |")


def _connected(sql: str, size: int) -> float:
    """The least CPU seconds of three times: what takes a tenth of a second is otherwise judged by what else goes on."""
    taken = []
    for _ in range(3):
        con = duckdb.connect()
        engine = DuckDBEngine(con)
        con.execute(f"create table edges as {sql} from range({size})")
        started = time.process_time()
        connect(engine, edges="edges", into="labels")
        taken.append(time.process_time() - started)
    return min(taken)


def _resolved(phone: str, size: int) -> float:
    con = _warehouse()
    con.execute(
        f"insert into data_model.contacts by name select 'crm:' || range as contact_key, 'crm' as source, cast(range as varchar) as"
        f" contact_id, 'Kim' || chr(97 + cast(range % 26 as integer)) as first_name, 'Person' || translate(cast(range as varchar),"
        f" '0123456789', 'abcdefghij') as last_name, {phone} as mobile_phone from range({size})"
    )
    _timed(con, _rulesets())
    started = time.process_time()
    _timed(con, _rulesets())
    return time.process_time() - started


def quality(con: duckdb.DuckDBPyConnection, kind: str, *, links: str | None = None) -> tuple[float, float, int]:
    """Pairwise precision and recall against `truth`, and the number of profiles with two parties in them."""
    con.execute(f"""create or replace temp table cells as select l.unified_{kind}_id as profile, t.party, count(*) as n
        from {links or f"identity.{kind}_links"} as l join truth as t on t.record_key = l.record_key group by 1, 2""")
    (right,), (found,), (real,), (impure,) = con.execute("""
        select coalesce(sum(n * (n - 1) / 2), 0) from cells
        union all select coalesce(sum(n * (n - 1) / 2), 0) from (select sum(n) as n from cells group by profile)
        union all select sum(n * (n - 1) / 2) from (select sum(n) as n from cells group by party)
        union all select count(*) from (select profile from cells group by profile having count(*) > 1)""").fetchall()
    return (right / found if found else 1.0), right / real, int(impure)


def _splink(con: duckdb.DuckDBPyConnection, shipped: dict[str, Ruleset]) -> None:
    """Splink over the same normalised people and the keys of our rules: with the shipped model as a daily run would, and trained anew.

    Not counted is what it does not do: ids, reconciliation, links, suggestions, checks.
    """
    import json

    from dunning_pipeline.identity.scoring import _linker, _untrained, people_sql

    ours = _matching_time(con, shipped)
    print(f"<!-- ours, from normal forms to clusters and no further: {ours[0]:.1f} s, {ours[1]:.1f} CPU s -->")
    con.execute(
        "create or replace table splink_keys as select record_id, record_key from identity_work.individual_records"
    )
    people = con.sql(people_sql()).to_arrow_table()
    file = ROOT / "policies" / "identity" / "individuals.splink.json"
    models = {"shipped model": json.loads(file.read_text(encoding="utf-8")), "trained in this run": _untrained()}
    for name, model in models.items():
        model["probability_two_random_records_match"] = 1 / people.num_rows
        model["blocking_rules_to_generate_predictions"] = _same_keys(shipped["individual"])
        started, cpu = time.perf_counter(), time.process_time()
        linker = _linker(con, people, model)
        if name == "trained in this run":
            _train(linker)
        scored = linker.inference.predict(threshold_match_probability=0.5)
        predicted = time.perf_counter() - started, time.process_time() - cpu
        for threshold in (0.5, 0.95, 0.9999, 1 - 1e-8, 1 - 1e-12):
            started, cpu = time.perf_counter(), time.process_time()
            clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(scored, threshold)
            seconds, used = predicted[0] + time.perf_counter() - started, predicted[1] + time.process_time() - cpu
            con.execute(
                "create or replace table main.splink_links as select k.record_key, c.cluster_id as unified_individual_id"
                f" from splink_keys as k join {clusters.physical_name} as c on c.unique_id = k.record_id"
            )
            precision, recall, impure = quality(con, "individual", links="main.splink_links")
            print(
                f"| Splink 5, {name}, p >= {threshold} | {precision:.5f} | {recall:.4f} | {impure} | {seconds:.1f} | {used:.1f} | {_peak_gb():.1f} |",
                flush=True,
            )
        con.execute("drop view people")
    con.execute("drop table splink_keys; drop table main.splink_links")


def _train(linker: Any) -> None:
    """As Splink's tutorial does: its own number of sampled pairs, and two blocks, each of which trains what the other holds fixed."""
    from splink import block_on

    linker.training.estimate_u_using_random_sampling(seed=1)
    for column in ("email", "phone"):
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(column))


def _matching_time(con: duckdb.DuckDBPyConnection, shipped: dict[str, Ruleset]) -> tuple[float, float]:
    """Seconds and CPU seconds of identifiers, guards, rules and clusters of people: what Splink is to be compared with."""
    reached: dict[str, tuple[float, float]] = {}

    def observe(table: str, rows: int, seconds: float) -> None:
        reached[table] = time.perf_counter(), time.process_time()

    resolve(con, None, run_id="splink", now=NOW, rulesets=shipped, keep_work=True, observe=observe)
    first, last = reached["identity_work.individual_cannot_link"], reached["identity_work.individual_quarantined"]
    return last[0] - first[0], last[1] - first[1]


def _same_keys(rules: Ruleset) -> list[str]:
    """Splink's blocking rules of the identifiers that our rules look at; beside an account, one of the two names as well."""
    columns = {"email": ("email",), "phone": ("phone",), "mobile": ("phone",), "address": ("street", "postal_code"),
               "account": ("account",), "birth_date": ("birth_date",), "postal_code": ("postal_code",)}  # fmt: skip
    blocks: list[tuple[str, ...]] = []
    for rule in rules.match_rules:
        if set(rule.identifiers) <= set(columns):
            block = tuple(dict.fromkeys(column for name in rule.identifiers for column in columns[name]))
            is_exact = any(c.field == "name" and c.method != "fuzzy" for c in rule.names)
            alone = [(*block, "family"), (*block, "given")] if block == ("account",) else [block]
            blocks += [(*block, "given", "family")] if is_exact else alone
    widest = [block for block in dict.fromkeys(blocks) if not any(set(other) < set(block) for other in blocks)]
    return [" and ".join(f"l.{column} = r.{column}" for column in block) for block in widest]


def _spark(con: duckdb.DuckDBPyConnection, shipped: dict[str, Ruleset]) -> None:
    """The same people on Spark with two local cores, normalisation included; clusters must be equal."""
    from dunning_pipeline.identity.spark import cluster_on_spark
    from tests.identity.test_spark import session

    resolve(con, None, run_id="spark", now=NOW, rulesets=shipped, keep_work=True)
    here = con.execute("select record_id, cluster_id from identity_work.individual_clusters order by 1").fetchall()
    with tempfile.TemporaryDirectory() as folder:
        con.execute(f"copy identity_work.individual_records to '{folder}/records.parquet' (format parquet)")
        spark = session(Path(folder))
        try:
            spark.read.parquet(f"{folder}/records.parquet").createOrReplaceTempView("individual_records")
            started = time.perf_counter()
            clusters = cluster_on_spark(spark, shipped["individual"], now=NOW, folder=f"{folder}/steps")
            there = sorted(tuple(row) for row in clusters.collect())
            seconds = time.perf_counter() - started
        finally:
            spark.stop()
    other = len(set(here) ^ set(there)) // 2
    print(
        f"\nSpark, {len(here):,} records, normalisation included: {seconds:.0f} s, {other} records in another cluster."
    )


def _timed(con: duckdb.DuckDBPyConnection, rules: dict[str, Ruleset]) -> tuple[float, ResolveReport]:
    con.execute(
        "drop schema if exists identity cascade"
    )  # every run is a first one: ids and events are not compared here
    started = time.perf_counter()
    report = resolve(con, None, run_id="bench", now=NOW, rulesets=rules)
    return time.perf_counter() - started, report


def _print_parts(report: ResolveReport, seconds: float) -> None:
    """The parts of a run, and the run without its list for reviewers: matched, numbered, reconciled, linked, checked."""
    parts = {name: taken for name, taken in report.seconds.items() if taken >= 0.1}
    print("<!-- " + ", ".join(f"{name} {taken:.1f} s" for name, taken in parts.items()) + " -->")
    listing = sum(taken for name, taken in report.seconds.items() if name.endswith(" suggestions"))
    print(f"<!-- to reconciled and linked profiles, audit and checks included: {seconds - listing:.1f} s -->")


def _print_rules(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute("""select e.rule, count(*), count(*) filter (where a.party <> b.party) from identity.evidence as e
        join truth as a on a.record_key = e.left_record join truth as b on b.record_key = e.right_record
        where party_kind = 'individual' group by 1 order by 2 desc""").fetchall()
    print("<!-- edges (wrong): " + ", ".join(f"{rule} {n:,} ({wrong})" for rule, n, wrong in rows) + " -->")


def _print_contact_points(con: duckdb.DuckDBPyConnection) -> None:
    started = time.process_time()
    con.execute("create or replace temp table points as from identity.contact_points")
    print(f"<!-- contact points, stored by the model that reads them: {time.process_time() - started:.1f} CPU s -->")
    con.execute("drop table points")


def _study(shipped: dict[str, Ruleset], *fields: str) -> dict[str, Ruleset]:
    """The rules that the design study called T1 and T2, to show what the other rules add on the same population."""
    own = shipped["individual"].model_dump()
    near = {"field": "name", "method": "fuzzy", "precision": "high"}
    own["match_rules"] = [
        {"rule": f"{field}_and_name", "tier": "A", "criteria": [{"field": field, "method": "exact_normalized"}, near]}
        | ({"when_unambiguous": True, "unless_conflict": ["email", "phone"]} if field == "address" else {})
        for field in fields
    ]
    return shipped | {"individual": Ruleset.model_validate(own)}


def _with(rules: dict[str, Ruleset], **changes: Any) -> dict[str, Ruleset]:
    return {kind: ruleset.model_copy(update=changes) for kind, ruleset in rules.items()}


def _rulesets() -> dict[str, Ruleset]:
    return {kind: load_ruleset(ROOT / "policies" / "identity", kind) for kind in ("account", "individual")}


def _warehouse(memory: str | None = None) -> duckdb.DuckDBPyConnection:
    from ruamel.yaml import YAML

    con = duckdb.connect(str(Path(tempfile.mkdtemp(prefix="identity-")) / "warehouse.duckdb") if memory else ":memory:")
    if memory:
        con.execute(f"set memory_limit = '{memory}'")
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
