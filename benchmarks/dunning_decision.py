"""The decision over a generated book: the whole `decide` beside the same SQL run by hand, and one account explained.

    python -m benchmarks.dunning_decision [--accounts 1000000]

Five invoices per account, about one account in eight with something to propose.
"""

import argparse
import resource
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb

from dunning_pipeline.dunning.decision import decide
from dunning_pipeline.dunning.explain import explain
from dunning_pipeline.dunning.facts import open_facts
from dunning_pipeline.dunning.models import rendered_models
from dunning_pipeline.dunning.policy_tables import load_policy_tables, model_variables
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.settings.yaml_files import plain, read_yaml

ROOT = Path(__file__).resolve().parents[1]
DAY = date(2025, 11, 3)


def generate(file: Path, accounts: int, *, invoices_per_account: int = 5) -> None:
    """A database with `data_model.*` as the snapshot has it: accounts, contacts, invoices, most of them paid."""
    con = duckdb.connect(str(file))
    con.execute("create schema data_model")
    for model in plain(read_yaml(ROOT / "dbt_like_sql" / "data_model" / "schema.yml"))["models"]:
        columns = ", ".join(f'"{column["name"]}" {column["data_type"]}' for column in model["columns"])
        con.execute(f"create table data_model.{model['name']} ({columns})")
    con.execute(
        f"""
        insert into data_model.accounts by name
        select 'b:' || n as account_key, 'b' as source, 'A' || n as account_id, 'Account ' || n as name,
            'Road ' || n as street, 'Town' as city, '10115' as postal_code, 'DE' as country
        from range({accounts}) as t(n);

        insert into data_model.contacts by name
        select 'b:c' || n as contact_key, 'b' as source, 'c' || n as contact_id, 'b:' || n as account_key,
            'Person ' || n as full_name, 'p' || n || '@example.com' as email
        from range({accounts}) as t(n);

        insert into data_model.invoices by name
        select 'b:i' || n as invoice_key, 'b' as source, 'i' || n as invoice_id, 'INV-' || n as invoice_number,
            'b:' || (n % {accounts}) as account_key, 'posted' as status,
            date '{DAY}' - cast(hash(n) % 300 as integer) - 30 as invoice_date,
            date '{DAY}' - cast(hash(n) % 300 as integer) as due_date, 'EUR' as currency,
            cast(50 + hash(n + 1) % 100000 / 100 as decimal(19, 4)) as total_amount
        from range({accounts * invoices_per_account}) as t(n);

        insert into data_model.payments by name
        select 'b:p' || n as payment_key, 'b' as source, 'p' || n as payment_id,
            'b:' || (n % {accounts}) as account_key, 'EUR' as currency, i.total_amount as amount,
            i.due_date + 3 as payment_date, 'processed' as status
        from range({accounts * invoices_per_account}) as t(n)
        inner join data_model.invoices as i on i.invoice_key = 'b:i' || n
        where hash(n + 2) % 40 <> 0;

        insert into data_model.payment_allocations by name
        select 'b:l' || payment_id as allocation_key, 'b' as source, payment_key,
            'b:i' || payment_id[2:] as invoice_key, amount, 'applied' as allocation_type, payment_date as applied_date
        from data_model.payments;
        """
    )
    con.close()


def bare(ws: Workspace, file: Path) -> float:
    """Seconds of the same SQL, statement by statement in one connection, with nothing around it."""
    with open_facts(ws, facts=file) as opened:
        opened.bring_ledger(ws, wanted=False)
        load_policy_tables(opened.con, ws)
        variables = model_variables(opened.con)
        models = rendered_models(
            ws, run_date=DAY, kind="dunning", variables=variables, catalogs=opened.catalogs, relations={}
        )
        opened.con.execute("create schema dunning")
        started = time.perf_counter()
        for model in models:
            kind = "view" if model.is_view else "table"
            opened.con.execute(f"create {kind} dunning.{model.name} as {model.sql}")
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    accounts = parser.parse_args().accounts
    ws = Workspace(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "facts.duckdb"
        generate(file, accounts)
        floor = bare(ws, file)
        started = time.perf_counter()
        decision = decide(ws, dunning_date=DAY, facts=file, ledger=False)
        whole = time.perf_counter() - started
        slowest = sorted(decision.seconds.items(), key=lambda item: -item[1])[:6]
        account = decision.statements.column("account_id")[0].as_py()
        started = time.perf_counter()
        explain(ws, account, dunning_date=DAY, facts=file, ledger=False)
        explained = time.perf_counter() - started
    print(
        f"accounts {accounts:,}, decisions {decision.decisions.num_rows:,}, proposals {decision.statements.num_rows:,}"
    )
    print(f"bare SQL {floor:.1f} s, decide {whole:.1f} s, ratio {whole / floor:.2f} (at most 1.5)")
    print(f"explain one account {explained:.2f} s (at most 1)")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")
    print("slowest models: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in slowest))


if __name__ == "__main__":
    main()
