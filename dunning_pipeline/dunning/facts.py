"""Opens what the decision reads: the published snapshot and the ledger of now, limited to what was asked for."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.export import empty_table
from dunning_pipeline.ledger.schema import metadata
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.shapes import table_exists

MEMORY_LIMIT = "4GB"
_CATALOG = "published"
# Tables of the data model that belong to one account; contacts are reached through relations too and stay whole.
_BY_ACCOUNT = (
    "bill_groups", "payments", "credit_memos", "collection_plans", "account_contact_relations", "account_contact_roles",
)  # fmt: skip


@dataclass
class Facts:
    """A scratch connection; `catalogs` and `relations` tell the models where each table is read from."""

    con: duckdb.DuckDBPyConnection
    catalogs: dict[str, str] = field(default_factory=dict)
    relations: dict[str, str] = field(default_factory=dict)
    snapshot: str | None = None
    account_key: str | None = None
    invoice_key: str | None = None

    def table(self, schema: str, name: str) -> str:
        catalog = self.catalogs.get(schema)
        return f"{catalog}.{schema}.{name}" if catalog else f"{schema}.{name}"

    def relation(self, name: str) -> str:
        """Where the models read a table of the data model, limits of the scope included."""
        return self.relations.get(f"data_model.{name}") or self.table("data_model", name)

    def limit_to(self, *, account: str | None, invoice: str | None, segment: str | None) -> None:
        """Let the models see only one account, one invoice or the members of a segment; raises NotThere."""
        if invoice is not None:
            self.invoice_key, self.account_key = self.find_invoice(invoice)
        elif account is not None:
            self.account_key = self.find_account(account)
        if self.account_key is not None:
            self.limit_to_account(self.account_key)
        elif segment is not None:
            self._see_only(self._members(segment))

    def limit_to_account(self, account_key: str) -> None:
        """Let the models see one account, by its key; one that invoices name and no source delivers will do."""
        self.account_key = account_key
        self._see_only(f"select '{_escaped(account_key)}' as account_key")
        self.con.execute("set threads = 1")  # the models over one account are not worth waking the others up

    def bring_ledger(self, ws: Workspace, *, wanted: bool, tables: Collection[str] | None = None) -> None:
        """`ops.*` as the ledger is now, unless it is there already; empty tables where it is not wanted.

        `tables` are those that the caller's models read (default: every table).
        """
        self.con.execute("create schema if not exists ops")
        if wanted and not table_exists(self.con, "ops", "item_levels"):
            self._export_ledger(ws, tables)
        empty = [empty_table(table) for table in metadata.sorted_tables if tables is None or table.name in tables]
        self.con.execute(";".join(empty))

    def _export_ledger(self, ws: Workspace, tables: Collection[str] | None) -> None:
        if self.account_key is None:
            from dunning_pipeline.ledger.export import export_to_warehouse

            export_to_warehouse(self.con, ws, tables=tables)
            return
        from dunning_pipeline.ledger.account_export import export_account

        invoices = self.con.execute("select invoice_key from scope.invoices").fetchall()
        keys = [key for (key,) in invoices]
        export_account(self.con, ws, accounts=[self.account_key], invoices=keys, tables=tables)

    def addressed(self, owing: str) -> dict[str, str]:
        """Relations whose accounts and contacts are those of `owing` alone (SQL for account_key), related ones too."""
        accounts = f"account_key in ({owing})"
        related = " union ".join(
            f"select contact_key from {self.relation(name)} where {accounts}"
            for name in ("account_contact_relations", "account_contact_roles")
        )
        billed = f"select billing_contact_key from {self.relation('invoices')} where {accounts}"
        wanted = {
            "accounts": accounts,
            "contacts": f"{accounts} or contact_key in ({related} union {billed})",
        }
        self.con.execute("create schema if not exists scope")
        for name, where in wanted.items():
            self.con.execute(
                f"create or replace table scope.addressed_{name} as select * from {self.relation(name)} where {where}"
            )
        return {**self.relations, **{f"data_model.{name}": f"scope.addressed_{name}" for name in wanted}}

    def find_account(self, text: str) -> str:
        return self._one(
            f"""
            select account_key from {self.table("data_model", "accounts")}
            where account_key = $1 or account_id = $1 or account_number = $1 or source || ':' || account_id = $1
            order by account_key <> $1, account_id <> $1, account_key
            """,
            text,
            "account",
        )[0]

    def find_invoice(self, text: str) -> tuple[str, str]:
        found = self._one(
            f"""
            select invoice_key, account_key from {self.table("data_model", "invoices")}
            where invoice_key = $1 or invoice_id = $1 or invoice_number = $1 or source || ':' || invoice_id = $1
            order by invoice_key <> $1, invoice_id <> $1, invoice_key
            """,
            text,
            "invoice",
        )
        return found[0], found[1]

    def find(self, text: str) -> tuple[str, str | None]:
        """(account key, invoice key or None) of an account or invoice named by key, id or number; raises NotThere."""
        try:
            return self.find_account(text), None
        except NotThere:
            pass
        try:
            invoice_key, account_key = self.find_invoice(text)
        except NotThere:
            raise NotThere(
                f"there is no account or invoice {text!r}", remedy="name it by its id in the source or its number"
            ) from None
        return account_key, invoice_key

    def _one(self, sql: str, text: str, kind: str) -> tuple[str, ...]:
        rows = self.con.execute(f"{sql} limit 1", [text]).fetchall()
        if not rows:
            raise NotThere(
                f"there is no {kind} {text!r}", remedy="name it by its key, its id in the source or its number"
            )
        return rows[0]

    def _members(self, segment: str) -> str:
        if not table_exists(self.con, "segments", segment, self.catalogs.get("segments")):
            raise NotThere(
                f"segment {segment!r} is not published", remedy="run `dunning build`; see `dunning segment list`"
            )
        members, links = self.table("segments", f'"{segment}"'), self.table("unified", "account_links")
        return (
            f"select distinct links.account_key from {links} as links "
            f"inner join {members} as members on members.unified_account_id = links.unified_account_id"
        )

    def _see_only(self, accounts: str) -> None:
        """Let the data model hold these accounts' rows alone, and the twins of their invoices in other sources."""
        self.con.execute("create schema if not exists scope")
        self.con.execute(f"create or replace table scope.account_keys as {accounts}")
        self._view("accounts", "account_key in (select account_key from scope.account_keys)")
        invoices = self.table("data_model", "invoices")
        mine = f"select * from {invoices} where account_key in (select account_key from scope.account_keys)"
        if self.invoice_key is not None:
            mine += f" and invoice_key = '{_escaped(self.invoice_key)}'"
        self.con.execute(f"create or replace table scope.own_invoices as {mine}")
        sources = self.con.execute("select distinct source from scope.own_invoices").fetchall()
        elsewhere = "".join(f" and source <> '{_escaped(source)}'" for (source,) in sources)
        self.con.execute(
            f"""
            create or replace table scope.invoices as
            select * from scope.own_invoices
            union all
            select * from {invoices}
            where invoice_number in (select invoice_number from scope.own_invoices){elsewhere}
            """
        )
        self.relations["data_model.invoices"] = "scope.invoices"
        mine = "account_key in (select account_key from scope.account_keys)"
        for name in _BY_ACCOUNT:
            self._view(name, mine)
        listed = "invoice_key in (select invoice_key from scope.invoices)"
        self._view("payment_allocations", listed, "payment_key in (select payment_key from scope.payments)")
        self._view("collection_plan_items", listed)
        self._view("payment_schedules", listed, mine)

    def _view(self, name: str, *wheres: str) -> None:
        """The rows that fit one of these, each once and read by itself: `or` would be asked of every row."""
        table = self.table("data_model", name)
        self.con.execute(f"create or replace table scope.{name} as select * from {table} where {wheres[0]}")
        for place, where in enumerate(wheres[1:], start=1):
            told = " or ".join(wheres[:place])
            self.con.execute(
                f"""
                insert into scope.{name}
                with found as materialized (select * from {table} where {where})
                select * from found where ({told}) is not true
                """
            )
        self.relations[f"data_model.{name}"] = f"scope.{name}"


@contextmanager
def open_facts(ws: Workspace, *, facts: duckdb.DuckDBPyConnection | Path | None) -> Iterator[Facts]:
    """The scratch database over `facts`; a connection that was handed in stays open, everything else is closed.

    Raises NotThere where nothing has been published yet.
    """
    if isinstance(facts, duckdb.DuckDBPyConnection):
        opened = Facts(facts)
        _complete(opened)
        yield opened
        return
    path = facts or _published(ws)
    con = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(ws.state / "tmp")})
    try:
        con.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
        con.execute(f"attach '{_escaped(str(path))}' as {_CATALOG} (read_only)")
        schemas = [row[0] for row in con.execute(
            "select distinct schema_name from duckdb_tables() where database_name = ?", [_CATALOG]
        ).fetchall()]  # fmt: skip
        served = {schema: _CATALOG for schema in schemas if schema not in ("dunning", "policy", "ops")}
        opened = Facts(con, catalogs=served, snapshot=path.name)
        _complete(opened)
        yield opened
    finally:
        con.close()


def _published(ws: Workspace) -> Path:
    from dunning_pipeline.sql_models.snapshot import snapshot_file

    return snapshot_file(ws)


def _complete(opened: Facts) -> None:
    """Empty tables for what was never published, so that the models always find their inputs."""
    if not table_exists(opened.con, "unified", "account_links", opened.catalogs.get("unified")):
        opened.catalogs.pop("unified", None)
        opened.con.execute(
            """
            create schema if not exists unified;
            create table if not exists unified.account_links
            (source varchar, account_key varchar, unified_account_id varchar)
            """
        )


def _escaped(text: str) -> str:
    return text.replace("'", "''")
