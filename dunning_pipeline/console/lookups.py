"""Copies what pages look up by key from the snapshot into an indexed SQLite file, `.dunning/console/<snapshot>.sqlite`.

DuckDB answers questions over all rows; a single account or invoice costs it milliseconds of planning and a scan. The
file is made once per snapshot, beside the server where the snapshot is large, and thrown away with it.
"""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from dunning_pipeline.settings.scratch import drop_unfinished
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.snapshot import snapshot_file

FORMAT = 3  # counted up when a table changes, so that files of an older version are made again
ROWS_AT_ONCE = 20_000

# table → (where it comes from, its columns); a column that the snapshot does not have is null
TABLES = {
    "accounts": (
        "data_model.accounts",
        "account_key account_id source name owner account_number tax_id vat_id phone email street postal_code city "
        "country language time_zone default_process dunning_ccs prevent_dunning",
    ),
    "contacts": (
        "data_model.contacts",
        "contact_key account_key full_name first_name last_name email phone dunning_contact_role",
    ),
    "bill_groups": ("data_model.bill_groups", "bill_group_key account_key name"),
    "invoices": ("data_model.invoices", "invoice_key account_key invoice_number due_date"),
    "payments": ("data_model.payments", "account_key payment_date payment_number amount currency"),
    "collection_plans": (
        "data_model.collection_plans",
        "plan_key plan_id account_key name status risk plan_due_date amount currency owner",
    ),
    "collection_plan_items": ("data_model.collection_plan_items", "plan_key invoice_key"),
    "account_links": ("unified.account_links", "account_key source unified_account_id rule confidence"),
    "open_items": (
        "dunning.open_items",
        "invoice_key invoice_number instalment account_key bill_group_key currency open_amount days_overdue due_date "
        "effective_due_date last_level is_disputed is_promised is_broken_promise",
    ),
    "owed": (
        "(select account_key, currency, sum(open_amount) as open, max(days_overdue) as days,"
        " sum(open_amount) filter (where days_overdue > 0) as overdue"
        " from dunning.open_items group by account_key, currency)",
        "account_key currency open days overdue",
    ),
    "next_steps": (
        "(select account_key, coalesce(invoice_number, invoice_id) as item,"
        " cast(json_extract_string(inputs, '$.next_level') as integer) as level,"
        " json_extract_string(inputs, '$.next_level_on') as next_on"
        " from dunning.decisions where next_on is not null)",
        "account_key next_on level item",
    ),
    "snapshot": (
        "(select run_date, cast(published_at as varchar) as published_at from main.snapshot)",
        "run_date published_at",
    ),
}
# DuckDB type → declared type here, by which `published` reads back what it was
TYPES = {"DATE": "day_text", "BOOLEAN": "flag"}
INDEXES = (
    "create unique index accounts_key on accounts (account_key)",
    "create index accounts_id on accounts (account_id)",
    "create index accounts_name on accounts (sort_name, account_key)",
    "create index accounts_owner on accounts (owner, sort_name, account_key)",
    "create index accounts_email on accounts (sort_email)",
    "create index contacts_account on contacts (account_key)",
    "create index contacts_email on contacts (sort_email)",
    "create index bill_groups_key on bill_groups (bill_group_key)",
    "create index bill_groups_account on bill_groups (account_key)",
    "create index invoices_key on invoices (invoice_key, account_key)",
    "create index invoices_account on invoices (account_key, due_date)",
    "create index invoices_number on invoices (invoice_number)",
    "create index payments_account on payments (account_key, payment_date)",
    "create index owed_account on owed (account_key, currency)",
    "create index next_steps_account on next_steps (account_key)",
    "create index open_items_account on open_items (account_key)",
    "create index open_items_invoice on open_items (invoice_key)",
    "create index collection_plans_key on collection_plans (plan_key)",
    "create index collection_plans_account on collection_plans (account_key)",
    "create index collection_plan_items_plan on collection_plan_items (plan_key)",
    "create index account_links_account on account_links (account_key)",
    "create index account_links_unified on account_links (unified_account_id)",
)


def file_for(workspace: Workspace, snapshot: Path) -> Path:
    """Where the lookups of a snapshot lie; a snapshot that was written again under its name has another file."""
    stamp = snapshot.stat().st_mtime_ns
    return workspace.state / "console" / f"{snapshot.stem}-{stamp:x}-{FORMAT}.sqlite"


def make(workspace: Workspace, snapshot: Path) -> Path:
    """Make the lookups of a snapshot where they are not there yet, drop older ones, and return the file."""
    target = file_for(workspace, snapshot)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    drop_unfinished(target.parent)
    partial = target.with_name(f"{uuid4().hex}.partial")  # two servers may make it at once: the last rename counts
    with (
        duckdb.connect(str(snapshot), read_only=True, config={"threads": 1}) as source,
        closing(sqlite3.connect(partial, isolation_level=None)) as lookups,
    ):
        lookups.execute("pragma journal_mode = off")
        lookups.execute("pragma synchronous = off")
        lookups.execute("begin")
        for table in TABLES:
            _copy(source, lookups, table)
        for index in INDEXES:
            lookups.execute(index)
        lookups.execute("commit")
        lookups.execute("analyze")
    partial.rename(target)
    for old in set(target.parent.glob("*.sqlite")) - {target}:  # whoever has one open keeps reading it
        old.unlink(missing_ok=True)
    return target


def _copy(source: duckdb.DuckDBPyConnection, lookups: sqlite3.Connection, table: str) -> None:
    origin, wanted = TABLES[table]
    try:
        found = {row[0]: row[1] for row in source.execute(f"describe from {origin}").fetchall()}
    except duckdb.CatalogException:  # a model that is not built yet: its table stays empty
        found = {}
    columns = {
        column: (_declared(found.get(column, "")), _read(column, found.get(column))) for column in wanted.split()
    }
    for column in ("name", "email"):  # searched and sorted without regard to case
        if table in ("accounts", "contacts") and column in columns:
            columns[f"sort_{column}"] = ("", f'lower("{column}")' if column in found else "null")
    declared = ", ".join(f'"{column}" {kind}' for column, (kind, _) in columns.items())
    lookups.execute(f"create table {table} ({declared})")
    if not found:
        return
    marks = ", ".join("?" * len(columns))
    read = source.execute(f"select {', '.join(sql for _, sql in columns.values())} from {origin}")
    for rows in _chunks(read):
        lookups.executemany(f"insert into {table} values ({marks})", rows)


def _chunks(read: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    while rows := read.fetchmany(ROWS_AT_ONCE):
        yield rows


def _declared(kind: str | None) -> str:
    return "decimal_text" if kind and kind.startswith("DECIMAL") else TYPES.get(kind or "", "")


def _read(column: str, kind: str | None) -> str:
    """The column as SQLite can hold it exactly: decimals and dates as text, flags as 0 and 1."""
    if kind is None:
        return "null"
    if kind.startswith("DECIMAL") or kind == "DATE":
        return f'cast("{column}" as varchar)'
    return f'cast("{column}" as tinyint)' if kind == "BOOLEAN" else f'"{column}"'


def make_beside(workspace: Workspace) -> subprocess.Popen[bytes]:
    """Make them in a process of its own, so that the server's pages do not wait for it."""
    return subprocess.Popen([sys.executable, "-m", __name__, str(workspace.root)])


if __name__ == "__main__":
    _workspace = Workspace(sys.argv[1])
    make(_workspace, snapshot_file(_workspace))
