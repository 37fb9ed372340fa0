"""The SQL models on generated data, each figure beside its floor in the same run; the ingest's figures come with it.

    python -m benchmarks.pipeline [--scale 1.0] [--no-ingest] [--no-growth]

Scale 1.0 is 1 M accounts, 1.5 M contacts, 5 M invoices, 4 M payments; one invoice in five is open. Every measurement
runs in a process of its own, so that its peak memory is its own. Profiles are one per account here: resolving them is
measured by benchmarks.identity. The statements by hand and the floor of the graph may use all memory of the machine;
the build keeps to its own limit.
"""

import argparse
import importlib.util
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb

from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models import building
from dunning_pipeline.sql_models.building import build
from dunning_pipeline.sql_models.folder.project import load_project
from dunning_pipeline.sql_models.runner import render_models
from dunning_pipeline.sql_models.segmenting.segments import preview
from dunning_pipeline.sql_models.shapes import quoted
from dunning_pipeline.sql_models.warehouse import open_warehouse

ROOT = Path(__file__).resolve().parents[1]
# on a machine that others use too, the processors' time says more than the clock on the wall
CLOCK = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter
RUN_DATE, NOW = date(2025, 11, 3), datetime(2025, 11, 3, 2, tzinfo=UTC)
ACCOUNTS, CONTACTS, INVOICES = 1_000_000, 1_500_000, 5_000_000
LIMITS = {
    "models": 1.2,
    "graph": 1.1,
    "peak_gb": 4.0,
    "exponent": 1.1,
    "preview": 1.0,
    "dagster": 10.0,
    "definitions": 5.0,
}
GROWTH = 100  # the smaller scale is a hundredth: from 50 k to 5 M invoices

# what the streams would have mapped: table → columns of the data model that are filled, from a row number i
GENERATED: dict[str, tuple[int, Mapping[str, str]]] = {
    "accounts": (ACCOUNTS, {
        "account_key": "'crm:' || i", "source": "'crm'", "account_id": "i::varchar", "name": "'Company ' || i",
        "country": "case i % 4 when 0 then 'DE' when 1 then 'FR' when 2 then 'US' else 'GB' end",
        "city": "'City ' || i % 900", "street": "'Street ' || i % 5000", "currency": "'EUR'",
        "email": "case when i % 3 = 0 then 'ar' || i || '@example.com' end", "owner": "'Owner ' || i % 200",
    }),
    "contacts": (CONTACTS, {
        "contact_key": "'crm:c' || i", "source": "'crm'", "contact_id": "'c' || i",
        "account_key": "'crm:' || i % {accounts}", "first_name": "'First' || i % 900",
        "last_name": "'Last' || i % 70000", "full_name": "'First' || i % 900 || ' Last' || i % 70000",
        "email": "'p' || i || '@example.com'", "mobile_phone": "'+49 170 ' || 1000000 + i",
        "dunning_contact_role": "case when i < {accounts} then 'Dunning Contact' end",
    }),
    "invoices": (INVOICES, {
        "invoice_key": "'crm:i' || i", "source": "'crm'", "invoice_id": "'i' || i",
        "invoice_number": "'INV-' || i", "account_key": "'crm:' || (i * 7919) % {accounts}", "status": "'posted'",
        "invoice_date": "date '2024-11-01' + (i % 350)::integer", "due_date": "date '2024-12-01' + (i % 350)::integer",
        "currency": "case i % 8 when 0 then 'USD' else 'EUR' end",
        "total_amount": "((i * 7919) % 1000000 / 100 + 10)::decimal(19, 4)",
    }),
    "payments": (INVOICES * 4 // 5, {
        "payment_key": "'crm:p' || i", "source": "'crm'", "payment_id": "'p' || i",
        "account_key": "'crm:' || (({paid}) * 7919) % {accounts}", "status": "'processed'",
        "currency": "case ({paid}) % 8 when 0 then 'USD' else 'EUR' end",
        "amount": "((({paid}) * 7919) % 1000000 / 100 + 10)::decimal(19, 4)",
        "payment_date": "date '2024-12-01' + (({paid}) % 330)::integer",
    }),
    "payment_allocations": (INVOICES * 4 // 5, {
        "allocation_key": "'crm:a' || i", "source": "'crm'", "payment_key": "'crm:p' || i",
        "invoice_key": "'crm:i' || ({paid})", "allocation_type": "'applied'",
        "amount": "((({paid}) * 7919) % 1000000 / 100 + 10)::decimal(19, 4)",
        "applied_date": "date '2024-12-01' + (({paid}) % 330)::integer",
    }),
    "fx_rates": (1, {
        "fx_key": "'k'", "rate_date": "date '2025-11-01'", "base": "'EUR'", "quote": "'USD'", "rate": "1.1",
    }),
}  # fmt: skip
PAID = "i // 4 * 5 + i % 4"  # four invoices of five

IDENTITY = {
    "account_links": "select 'crm' as source, account_id as source_record_id, account_key as record_key, account_key, "
    "'UA-' || account_id as unified_account_id, 'alone' as rule, 'A' as tier, 1.0 as confidence, "
    "null::varchar as evidence, 1 as members from data_model.accounts",
    "unified_accounts": "select 'UA-' || account_id as unified_account_id, name, country, 1 as account_count "
    "from data_model.accounts",
    "individual_links": "select 'crm' as source, contact_key as record_key, 'UI-' || contact_id as "
    "unified_individual_id, 'alone' as rule, 1.0 as confidence from data_model.contacts",
    "unified_individuals": "select 'UI-' || contact_id as unified_individual_id, full_name from data_model.contacts",
    "contact_points": "select contact_key || '#email' as contact_point_id, 'email' as kind, email as value_normalised "
    "from data_model.contacts",
    "checks": "select 'account' as party_kind, 'alone' as check_name, 0 as failures, 0 as records, '' as message, "
    "'error' as severity, true as passed",
}


def generate(folder: Path, scale: float) -> None:
    """A workspace whose warehouse holds `mapped.*` as tables."""
    for name in ("policies", "templates", "dbt_like_sql"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs"))
    workspace = Workspace(folder)
    models = load_project(workspace.models).models
    accounts = max(int(ACCOUNTS * scale), 1)
    with open_warehouse(workspace) as con:
        con.execute("create schema mapped")
        for model in models.values():
            if model.schema != "data_model":
                continue
            rows, filled = GENERATED.get(model.name, (0, {}))
            columns = ", ".join(
                f"cast({filled.get(name, 'null').replace('{accounts}', str(accounts)).replace('{paid}', PAID)} "
                f"as {column['data_type']}) as {name}"
                for name, column in model.properties.columns.items()
            )
            count = max(int(rows * scale), 1) if rows else 0
            con.execute(f"create table mapped.{model.name} as select {columns} from range({count}) as rows(i)")


def _resolve(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create schema if not exists identity")
    for name, sql in IDENTITY.items():
        con.execute(f"create or replace table identity.{name} as {sql}")


def measure_build(workspace: Workspace) -> dict[str, Any]:
    """The product's build, with generated tables in place of the streams and of the profiles."""
    _without_streams_and_profiles()
    started = CLOCK()
    report = build(workspace, run_date=RUN_DATE, now=NOW)
    assert not report.failed, (report.failed, [model.error for model in report.models if model.error])
    steps = dict(report.steps)
    models = {model.key: model.seconds for model in report.models}
    return {
        "seconds": sum(models.values()) + steps.get("check before the first write", 0),
        "whole": CLOCK() - started,
        "steps": steps,
        "models": models,
        "graph": sum(seconds for key, seconds in models.items() if key.startswith("data_graph.")),
        "rows": {model.key: model.rows for model in report.models},
    }


def _without_streams_and_profiles() -> None:
    original = building._Build.step

    def step(work: Any, what: str, module: str, function: str, *arguments: Any, **options: Any) -> Any:
        if function == "refresh_mapped_views":
            return None
        if function == "resolve":
            return _resolve(work.con)
        return original(work, what, module, function, *arguments, **options)

    building._Build.step = step  # type: ignore[method-assign]
    building.time = SimpleNamespace(perf_counter=CLOCK)  # type: ignore[assignment]


def measure_dagster(workspace: Workspace) -> dict[str, Any]:
    """The job `build` less the build that is in it: what Dagster adds, to the very first (all lineage new) and a later.

    Loading the definitions is apart.
    """
    home = workspace.root / "dagster"
    home.mkdir()
    shutil.copy(ROOT / "assets" / "dagster.yaml", home)
    os.environ |= {"DAGSTER_HOME": str(home), "DUNNING_WORKSPACE": str(workspace.root), "DUNNING_NOW": NOW.isoformat()}
    import dagster as dg

    import assets.models
    from assets.definitions import build_definitions

    _without_streams_and_profiles()
    inside: list[float] = []

    def timed(*arguments: Any, **options: Any) -> building.BuildReport:
        started = CLOCK()
        report = build(*arguments, **options)
        inside.append(CLOCK() - started)
        return report

    assets.models.build = timed
    started = CLOCK()
    job = build_definitions(workspace).resolve_job_def("build")
    loaded = CLOCK() - started
    instance = dg.DagsterInstance.get()
    added = []
    for _ in range(2):
        inside.clear()
        started = CLOCK()
        result = job.execute_in_process(instance=instance)
        assert result.success
        added.append(CLOCK() - started - sum(inside))
    return {"first": added[0], "seconds": added[1], "loaded": loaded, "events": len(result.all_events)}


def measure_by_hand(workspace: Workspace) -> dict[str, Any]:
    """The same statements one after the other, as somebody would paste them into a DuckDB shell."""
    from dunning_pipeline.dunning.policy_tables import model_variables

    with open_warehouse(workspace) as con:
        con.execute("set preserve_insertion_order = false")
        rendered = render_models(workspace, run_date=RUN_DATE, variables=model_variables(con))
        for schema in {model.schema for model in rendered}:
            con.execute(f"drop schema if exists {quoted(schema)} cascade; create schema {quoted(schema)}")
        started = CLOCK()
        for model in rendered:
            kind = "view" if model.model.is_view else "table"
            con.execute(f"create {kind} {quoted(model.schema)}.{quoted(model.name)} as {model.sql}")
        return {"seconds": CLOCK() - started}


# the same documents, byte for byte, as somebody would write them for just this data: no bill groups, credits or plans
GRAPH_FLOOR = """
create table floor.graphs as
with points as (
    select holder_key, list_sort(list({'channel': channel, 'address': address, 'refusal': refusal})) as points
    from dunning.recipient_points group by holder_key),
roles as (
    select contact_key, list_sort(list(distinct role)) as roles from dunning.recipient_roles group by contact_key),
contacts as (
    select account_key, list_sort(list({'contact_key': contact_key, 'account_key': account_key,
        'salutation': salutation, 'first_name': first_name, 'last_name': last_name, 'full_name': full_name,
        'title': title, 'email': email, 'phone': phone, 'mobile_phone': mobile_phone, 'language': language,
        'roles': coalesce(roles, []), 'contact_points': points})) as contacts
    from data_model.contacts left join roles using (contact_key) left join points on holder_key = contact_key
    group by account_key),
invoices as (
    select o.account_key, list_sort(list({'due_date': o.due_date, 'invoice_key': o.invoice_key,
        'account_key': o.account_key, 'invoice_id': i.invoice_id, 'invoice_number': i.invoice_number,
        'invoice_date': i.invoice_date, 'currency': i.currency, 'legal_entity': i.legal_entity,
        'total_amount': i.total_amount::decimal(19, 2)::varchar, 'open_amount': o.open_amount::decimal(19, 2)::varchar,
        'days_overdue': o.days_overdue, 'is_disputed': o.is_disputed, 'is_promised': o.is_promised,
        'last_level': o.last_level, 'reference': i.reference, 'description': i.description,
        'payment_link': i.payment_link, 'lines': null, 'instalments': [{'instalment': o.instalment,
        'due_date': o.due_date, 'days_overdue': o.days_overdue,
        'original_amount': o.original_amount::decimal(19, 2)::varchar,
        'open_amount': o.open_amount::decimal(19, 2)::varchar}]})) as invoices
    from dunning.open_items as o join data_model.invoices as i using (invoice_key) group by o.account_key),
payments as (
    select account_key, list_sort(list({'payment_date': payment_date, 'payment_key': payment_key,
        'payment_number': payment_number, 'currency': currency, 'amount': amount::decimal(19, 2)::varchar})) as payments
    from data_model.payments where payment_date between date '2025-11-03' - 365 and date '2025-11-03'
    group by account_key)
select l.unified_account_id, a.account_key, a.account_key as bill_group_key, to_json({
    'unified_account_id': l.unified_account_id, 'account_key': a.account_key, 'bill_group_key': a.account_key,
    'account': {'account_key': a.account_key, 'source': a.source, 'account_id': a.account_id, 'name': a.name,
        'account_number': a.account_number, 'party_type': a.party_type, 'vat_id': a.vat_id, 'email': a.email,
        'phone': a.phone, 'street': a.street, 'postal_code': a.postal_code, 'city': a.city, 'state': a.state,
        'country': a.country, 'language': a.language, 'time_zone': a.time_zone, 'owner': a.owner},
    'bill_group': {'id': null, 'name': null}, 'contacts': c.contacts, 'invoices': i.invoices, 'payments': p.payments,
    'credits': null, 'plans': null, 'statements': null}) as document
from data_model.accounts as a join unified.account_links as l using (account_key)
left join contacts as c using (account_key) left join invoices as i using (account_key)
left join payments as p using (account_key)
"""


def measure_graph_floor(workspace: Workspace) -> dict[str, Any]:
    """The documents of the data graph in the list_sort form, as one statement; they must be the product's."""
    with open_warehouse(workspace) as con:
        con.execute("set preserve_insertion_order = false")
        con.execute("create schema floor")
        started = CLOCK()
        con.execute(GRAPH_FLOOR)
        seconds = CLOCK() - started
        told = "select count(*), sum(strlen(document)), bit_xor(hash(document)) from"
        ours, floor = (
            con.execute(f"{told} {table}").fetchall() for table in ("data_graph.account_graphs", "floor.graphs")
        )
        assert ours == floor, (ours, floor)
        con.execute("drop schema floor cascade")
        return {"seconds": seconds}


def measure_preview(workspace: Workspace) -> dict[str, Any]:
    """An edited segment to its rows, in-process, three times; the best counts."""
    text = (workspace.models / "segments" / "overdue_1_30.sql").read_text(encoding="utf-8").replace("30", "25")
    best = math.inf
    for _ in range(3):
        started = CLOCK()
        rows = len(preview(workspace, "overdue_1_30", text=text))
        best = min(best, CLOCK() - started)
    return {"seconds": best, "rows": rows}


MEASUREMENTS = {
    "build": measure_build, "hand": measure_by_hand, "graph_floor": measure_graph_floor, "preview": measure_preview,
    "dagster": measure_dagster,
}  # fmt: skip
MEASURED = ("build", "preview", "graph_floor", "dagster", "hand")  # the last two build the tables anew


def apart(measurement: str, folder: Path) -> dict[str, Any]:
    """One measurement in a process of its own, with its peak memory."""
    command = [sys.executable, "-m", "benchmarks.pipeline", "--measure", measurement, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def whole_round(scale: float, only: Iterable[str] = MEASURED) -> dict[str, dict[str, Any]]:
    """Generate, and measure each thing in a process of its own, at one scale."""
    folder = Path(tempfile.mkdtemp(prefix="pipeline-"))
    try:
        generate(folder, scale)
        return {name: apart(name, folder) for name in only}
    finally:
        shutil.rmtree(folder)


def show(scale: float, found: Mapping[str, Mapping[str, Any]]) -> bool:
    """The table of one round; true where every limit holds."""
    made, hand, floor = found["build"], found["hand"], found["graph_floor"]
    rows = made["rows"]
    lines = [
        ("all SQL models", made["seconds"], hand["seconds"], made["seconds"] / hand["seconds"], LIMITS["models"]),
        ("data graph", made["graph"], floor["seconds"], made["graph"] / floor["seconds"], LIMITS["graph"]),
        ("edited segment to rows", found["preview"]["seconds"], LIMITS["preview"],
         found["preview"]["seconds"] / LIMITS["preview"], 1.0),
        ("Dagster's overhead, first build", found["dagster"]["first"], LIMITS["dagster"],
         found["dagster"]["first"] / LIMITS["dagster"], 1.0),
        ("Dagster's overhead, daily build", found["dagster"]["seconds"], LIMITS["dagster"],
         found["dagster"]["seconds"] / LIMITS["dagster"], 1.0),
        ("loading Dagster's definitions", found["dagster"]["loaded"], LIMITS["definitions"],
         found["dagster"]["loaded"] / LIMITS["definitions"], 1.0),
        ("peak memory of the build, GB", made["peak_gb"], LIMITS["peak_gb"], made["peak_gb"] / LIMITS["peak_gb"], 1.0),
    ]  # fmt: skip
    print(
        f"\nscale {scale}: {rows['data_model.invoices']:,} invoices, {rows['dunning.open_items']:,} open; "
        f"seconds of {'the processors' if CLOCK is time.process_time else 'the clock'}"
    )
    print(f"{'':34}{'measured':>10}{'floor':>10}{'ratio':>8}{'limit':>8}")
    for name, measured, against, ratio, limit in lines:
        print(f"{name:34}{measured:10.2f}{against:10.2f}{ratio:8.2f}{limit:8.2f}{'' if ratio <= limit else '  missed'}")
    print("steps: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in made["steps"].items()))
    slowest = sorted(made["models"].items(), key=lambda entry: -entry[1])[:8]
    print("slowest: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in slowest))
    return all(ratio <= limit for _, _, _, ratio, limit in lines)


def show_growth(small: Mapping[str, Any], large: Mapping[str, Any], factor: float) -> bool:
    """Exponent of time by rows for every step that takes a second at the larger scale."""
    print(f"\ngrowth over a factor of {factor:g} (limit n^{LIMITS['exponent']})")
    good = True
    for name, seconds in sorted({**large["models"], **large["steps"]}.items()):
        before = {**small["models"], **small["steps"]}.get(name)
        if seconds < 1 or not before:
            continue
        exponent = math.log(seconds / before) / math.log(factor)
        good &= exponent <= LIMITS["exponent"]
        print(f"{name:40}{before:8.2f} s {seconds:8.2f} s   n^{exponent:.2f}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--no-ingest", action="store_true")
    parser.add_argument("--no-growth", action="store_true")
    parser.add_argument("--measure", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        found = MEASUREMENTS[chosen.measure](Workspace(chosen.folder))
        found["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(json.dumps(found))
        return 0
    if not chosen.no_ingest and importlib.util.find_spec("benchmarks.pipeline_ingest"):
        command = [sys.executable, "-m", "benchmarks.pipeline_ingest", "--scale", str(chosen.scale)]
        subprocess.run(command, cwd=ROOT, check=False)
    found = whole_round(chosen.scale)
    good = show(chosen.scale, found)
    if not chosen.no_growth:
        small = whole_round(chosen.scale / GROWTH, only=("build",))
        good &= show_growth(small["build"], found["build"], GROWTH)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
