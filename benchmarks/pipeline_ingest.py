"""Ingest and typing of generated extracts against a bare `read_csv … store_rejects` CTAS of the same file.

    python -m benchmarks.pipeline_ingest [--scale 1.0] [--rounds 3]

Scale 1.0 is 1 M accounts, 1.5 M contacts, 5 M invoices. Each step runs in a process of its own, so that its peak
memory is its own; floor and ingest alternate, and the best round of each counts.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[1]
GENERATED = {
    "Account": (
        1_000_000,
        "'001' || lpad(i::varchar, 15, '0') as Id, 'Company ' || i || ' GmbH' as Name, "
        "'Street ' || i % 5000 as BillingStreet, 'City ' || i % 900 as BillingCity, 'Germany' as BillingCountry, "
        "'EUR' as CurrencyIsoCode",
    ),
    "Contact": (
        1_500_000,
        "'003' || lpad(i::varchar, 15, '0') as Id, '001' || lpad((i % 1000000)::varchar, 15, '0') as AccountId, "
        "'First' || i % 900 as FirstName, 'Last' || i % 70000 as LastName, 'p' || i || '@example.com' as Email, "
        "'+49 40 ' || i as Phone, 'City ' || i % 900 as MailingCity",
    ),
    "Invoice": (
        5_000_000,
        "'3tt' || lpad(i::varchar, 15, '0') as Id, 'INV-' || lpad(i::varchar, 8, '0') as InvoiceNumber, "
        "'001' || lpad((i % 1000000)::varchar, 15, '0') as BillingAccountId, 'Posted' as Status, "
        "case when i % 19000 = 7 then '2025-02-30' else (date '2025-01-01' + (i % 300)::int)::varchar end "
        "as InvoiceDate, "
        "(date '2025-02-01' + (i % 300)::int)::varchar as DueDate, "
        "case when i % 9000 = 5 then '12O.50' else ((i * 7919) % 1000000 / 100.0)::decimal(19, 2)::varchar end "
        "as TotalAmountWithTax, 'EUR' as CurrencyIsoCode, "
        "strftime(timestamp '2025-10-01' + to_seconds(i % 86400), '%Y-%m-%dT%H:%M:%S.000Z') as SystemModstamp",
    ),
}
TYPES = {
    "InvoiceDate": "DATE", "DueDate": "DATE", "TotalAmountWithTax": "DECIMAL(19,4)", "SystemModstamp": "TIMESTAMP",
}  # fmt: skip


def generate(folder: Path, scale: float) -> None:
    """Write the CSV files; the invoices hold some impossible dates and amounts."""
    inbox = folder / "inbox" / "salesforce"
    inbox.mkdir(parents=True)
    with duckdb.connect() as con:
        for name, (rows, columns) in GENERATED.items():
            count = int(rows * scale)
            con.execute(f"copy (select {columns} from range({count}) t(i)) to '{inbox / name}.csv' (header)")


def floor(folder: Path) -> int:
    """The bare statement: read, type and keep the rejects, all in the reader."""
    rows = 0
    target = folder / "floor.duckdb"
    target.unlink(missing_ok=True)
    with duckdb.connect(str(target)) as con:
        for file in sorted((folder / "inbox" / "salesforce").glob("*.csv")):
            names = file.open(encoding="utf-8").readline().strip().split(",")
            columns = ", ".join(f"'{name}': '{TYPES.get(name, 'VARCHAR')}'" for name in names)
            con.execute(
                f"create table {file.stem} as select * from read_csv('{file}', header = true, auto_detect = false, "
                f"columns = {{{columns}}}, store_rejects = true, rejects_table = 'r_{file.stem}', "
                f"rejects_scan = 's_{file.stem}')"
            )
            rows += con.execute(f"select count(*) from {file.stem}").fetchone()[0]
    return rows


def ingested(folder: Path) -> int:
    """The product's ingest into an empty warehouse: typing, rejects with line and reason, keys, merge, load log."""
    from datetime import UTC, datetime

    from dunning_pipeline.data_streams import ingest
    from dunning_pipeline.settings.workspace import Workspace

    shutil.rmtree(folder / ".dunning", ignore_errors=True)
    reports = ingest(Workspace(folder), now=datetime(2025, 11, 3, tzinfo=UTC))
    assert all(report.error is None for report in reports), reports
    return sum(report.rows_loaded for report in reports)


def again(folder: Path) -> int:
    """The same extracts delivered once more, as new files: everything is compared, nothing changes."""
    from datetime import UTC, datetime

    from dunning_pipeline.data_streams import ingest
    from dunning_pipeline.settings.workspace import Workspace

    for file in (folder / "inbox" / "salesforce").glob("*.csv"):
        file.touch()
    reports = ingest(Workspace(folder), now=datetime(2025, 11, 4, tzinfo=UTC))
    return sum(report.rows_changed for report in reports)


STEPS = {"floor": floor, "ingest": ingested, "ingest again": again}


def run_alone(step: str, folder: Path) -> dict[str, float]:
    """One step in its own process: wall and CPU seconds of the work without start-up, peak memory in MB, rows."""
    command = [sys.executable, "-m", "benchmarks.pipeline_ingest", "--step", step, "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _copy_declarations(folder: Path) -> None:
    for part in ("policies", "dbt_like_sql"):
        shutil.copytree(ROOT / part, folder / part)


def _warm_up(folder: Path) -> None:
    """An ingest of nothing into a company of its own: imports and declarations, which do not grow with the data."""
    from datetime import UTC, datetime

    from dunning_pipeline.data_streams import ingest
    from dunning_pipeline.settings.workspace import Workspace

    with tempfile.TemporaryDirectory(dir=folder) as empty:
        _copy_declarations(Path(empty))
        ingest(Workspace(Path(empty)), now=datetime(2025, 11, 3, tzinfo=UTC))


def one_step(step: str, folder: Path) -> None:
    if step != "floor":
        _warm_up(folder)
    started, cpu_started = time.perf_counter(), time.process_time()
    rows = STEPS[step](folder)
    seconds = time.perf_counter() - started
    cpu = time.process_time() - cpu_started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak, "rows": rows}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--step")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.step:
        one_step(options.step, options.folder)
        return
    with tempfile.TemporaryDirectory(prefix="ingest-") as name:
        folder = Path(name)
        _copy_declarations(folder)
        generate(folder, options.scale)
        size = sum(file.stat().st_size for file in (folder / "inbox" / "salesforce").glob("*.csv"))
        rounds = [{step: run_alone(step, folder) for step in ("floor", "ingest")} for _ in range(options.rounds)]
        best = {step: min((r[step] for r in rounds), key=lambda one: one["seconds"]) for step in ("floor", "ingest")}
        best["ingest again"] = run_alone("ingest again", folder)
    print(f"scale {options.scale}: {size / 1e6:.0f} MB of CSV, best of {options.rounds}")
    for step, one in best.items():
        ratio, cpu_ratio = (one[unit] / best["floor"][unit] for unit in ("seconds", "cpu"))
        print(
            f"{step:14} {one['seconds']:7.2f} s {ratio:5.2f} x floor   {one['cpu']:7.2f} CPU s {cpu_ratio:5.2f} x   "
            f"{one['peak_mb']:6.0f} MB  {one['rows']:,.0f} rows"
        )


if __name__ == "__main__":
    main()
