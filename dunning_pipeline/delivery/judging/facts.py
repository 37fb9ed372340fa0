"""What is owed now, for the gate: open amounts of items from the published snapshot, computed by the decision's SQL."""

import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import orjson

from dunning_pipeline.delivery.permission.contact_points import points_of
from dunning_pipeline.dunning.credits import Holder, credits_by_holder
from dunning_pipeline.dunning.models import rendered_models
from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.export import empty_table
from dunning_pipeline.ledger.schema import metadata
from dunning_pipeline.money import to_minor
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.shapes import quoted, table_exists
from dunning_pipeline.sql_models.snapshot import POINTER, open_snapshot, snapshot_file

Item = tuple[str, int]  # invoice_key, instalment


@dataclass(frozen=True, slots=True)
class ItemNow:
    open_minor: int
    status: str
    is_prevented: bool  # PreventDunning on the invoice
    is_disputed: bool
    bill_group_key: str = ""  # a statement may list invoices of several
    due_on: date | None = None  # as the source has it, extensions included
    is_promised: bool = False  # for a later day, by the source
    account_key: str = ""  # whose it is now
    currency: str = ""


class PublishedFacts:
    """Looks items up in the newest snapshot; notices by itself when a newer one was published.

    One object per process; safe for many threads.
    """

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._pointer = ws.serving / POINTER
        self._stamp: tuple[tuple[int, int], str] = ((0, 0), "")  # the pointer is replaced, never written again
        self._lock = threading.Lock()
        self._loaded: tuple[str, date] | None = None
        self._con: duckdb.DuckDBPyConnection | None = None
        self._compared: tuple[str, int, bool] | None = None

    def stamp(self) -> str:
        """Name of the newest snapshot; empty before the first. What was judged under another stamp is judged again."""
        try:
            status = self._pointer.stat()
            seen = (status.st_ino, status.st_mtime_ns)
            if self._stamp[0] != seen:
                self._stamp = (seen, self._pointer.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ""
        return self._stamp[1]

    def items(self, invoice_keys: Collection[str], *, as_of: date) -> dict[Item, ItemNow]:
        """The items of these invoices as of a date, paid ones included; an invoice that is unknown is left out."""
        if not invoice_keys:
            return {}
        with self._lock:
            rows = self._rows(
                """
                select invoice_key, instalment, open_amount, currency, status, prevent_dunning, is_disputed,
                    bill_group_key, greatest(coalesce(postponed_due_date, due_date), invoice_date),
                    invoice_key in (from gate.promised), account_key, currency
                from dunning.items where invoice_key in (select unnest(?))
                """,
                [list(invoice_keys)],
                as_of,
            )
        return {
            (key, instalment): ItemNow(
                to_minor(amount or Decimal(0), currency), status or "", bool(prevented), bool(disputed), *others
            )
            for key, instalment, amount, currency, status, prevented, disputed, *others in rows
        }

    def names(self, account_keys: Collection[str], *, as_of: date) -> dict[str, str]:
        """`source:id`, the source being their account's, → key of these accounts' invoices that had another id before
        (see data_streams.renaming)."""
        with self._lock:
            rows = self._rows(
                """
                select split_part(account_key, ':', 1) || ':' || invoice_id as named, invoice_key
                from dunning.items where account_key in (select unnest(?)) and named <> invoice_key
                """,
                [list(account_keys)],
                as_of,
            )
        return dict(rows)

    def credits(self, account_keys: Collection[str], *, as_of: date) -> dict[Holder, int]:
        """Credits and unapplied cash of these accounts in minor units, by legal entity and over all of them."""
        with self._lock:
            return credits_by_holder(self._connection(as_of), "gate.credits", accounts=account_keys)

    def prevented(self, keys: Collection[str], *, as_of: date) -> set[str]:
        """Which of these account and bill group keys the source says not to dun."""
        if not keys:
            return set()
        with self._lock:
            rows = self._rows("select key from gate.prevented where key in (select unnest(?))", [list(keys)], as_of)
        return {key for (key,) in rows}

    def owners(self, identifiers: Iterable[str], *, as_of: date) -> dict[str, set[str]]:
        """For words found in a message: the accounts whose invoice number or e-mail address they are."""
        words = list(identifiers)
        if not words:
            return {}
        with self._lock:
            rows = self._rows(
                "select word, account_key from gate.identifiers where word in (select unnest(?))", [words], as_of
            )
        owners: dict[str, set[str]] = {}
        for word, account in rows:
            owners.setdefault(word, set()).add(account)
        return owners

    def points(self, account_keys: Collection[str], *, as_of: date, country: str) -> dict[str, set[str]]:
        """Account → the normal e-mail address and number at which it is reached; none while its contacts conflict, or
        where the snapshot does not say.

        Numbers in national format are read as those of the account's country, else of `country`.
        """
        with self._lock, suppress(NotThere):
            rows = self._rows(
                """
                select account_key, email_to, sms_to, country from gate.reached
                where account_key in (select unnest(?)) and not has_conflict
                """,
                [list(account_keys)],
                as_of,
            )
            return {key: points_of(emails, number, own or country) for key, emails, number, own in rows}
        return {}

    def copies(self, account_keys: Collection[str], *, as_of: date) -> dict[str, set[str]]:
        """Account → the normal addresses that its mail may name, copies too; none where the snapshot does not say."""
        with self._lock, suppress(NotThere):
            rows = self._rows(
                "select account_key, named from gate.reached where account_key in (select unnest(?))",
                [list(account_keys)],
                as_of,
            )
            return {key: points_of(emails, None) for key, emails in rows}
        return {}

    def plan_points(self, account_keys: Collection[str], *, as_of: date) -> dict[str, set[str]]:
        """Account → the normal addresses of the contacts of its collection plans; none where nothing is published."""
        with self._lock, suppress(NotThere):
            rows = self._rows(
                """
                select plans.account_key, list(contacts.email) from snapshot.data_model.collection_plans as plans
                join snapshot.data_model.contacts as contacts on contacts.contact_key = plans.contact_key
                where plans.account_key in (select unnest(?)) and contacts.email is not null
                group by plans.account_key
                """,
                [list(account_keys)],
                as_of,
            )
            return {key: points_of(emails, None) for key, emails in rows}
        return {}

    def postal(self, account_keys: Collection[str], *, as_of: date) -> dict[str, dict[str, str | None]]:
        """Account → its postal address, by field; none while its contacts conflict, or where nothing says."""
        with self._lock, suppress(NotThere):
            rows = self._rows(
                """
                select account_key, address from gate.reached
                where account_key in (select unnest(?)) and not has_conflict
                """,
                [list(account_keys)],
                as_of,
            )
            return {key: orjson.loads(address) for key, address in rows if address}
        return {}

    def payment_method(self, account_key: str, *, as_of: date) -> dict[str, str]:
        """Tokens of the account's active means of payment at Stripe, its default first; empty where there is none."""
        with self._lock:
            rows = self._rows(
                """
                select provider_customer, provider_token from snapshot.data_model.payment_methods
                where account_key = ? and coalesce(is_active, true) and lower(coalesce(provider, 'stripe')) = 'stripe'
                    and provider_token is not null
                order by coalesce(is_default, false) desc, payment_method_key limit 1
                """,
                [account_key],
                as_of,
            )
        return {"customer": rows[0][0], "payment_method": rows[0][1]} if rows else {}

    def contains(self, number: int, loads: Callable[[], Collection[str]]) -> bool:
        """Whether the newest snapshot was built from all `loads`; True before the first one is published.

        Loads are only ever added: they are asked for again when their number or the snapshot is another.
        """
        stamp = self.stamp()
        if not stamp:
            return True
        with self._lock:
            if self._compared is None or self._compared[:2] != (stamp, number):
                self._compared = (stamp, number, _loads_of(self._ws).issuperset(loads()))
            return self._compared[2]

    def close(self) -> None:
        with self._lock:
            if self._con is not None:
                self._con.close()
            self._con = self._loaded = None

    def _rows(self, sql: str, parameters: list[Any], as_of: date) -> list[tuple[Any, ...]]:
        return self._connection(as_of).execute(sql, parameters).fetchall()

    def _connection(self, as_of: date) -> duckdb.DuckDBPyConnection:
        wanted = (self.stamp(), as_of)
        if self._con is None or self._loaded != wanted:
            fresh = _prepare(self._ws, as_of)
            if self._con is not None:
                self._con.close()
            self._con, self._loaded = fresh, wanted
        return self._con


def _loads_of(ws: Workspace) -> frozenset[str]:
    """The loads that the newest snapshot says it contains; a snapshot that says nothing contains none."""
    with open_snapshot(ws) as con:
        try:
            return frozenset(load for (load,) in con.execute("select load_id from main.loads").fetchall())
        except duckdb.CatalogException:
            return frozenset()


def _prepare(ws: Workspace, as_of: date) -> duckdb.DuckDBPyConnection:
    """An in-memory database over the snapshot with dunning.items and gate.credits, promised, prevented, identifiers,
    reached.

    Items and credits come from the decision's own SQL (with what it needs), so that the gate can never have another
    opinion of what is open. Raises NotThere before the first build, and for a snapshot that is damaged.
    """
    file = snapshot_file(ws)
    con = duckdb.connect(":memory:", config={"threads": 1})
    con.execute("set timezone = 'UTC'")
    try:
        con.execute("attach '{}' as snapshot (read_only)".format(str(file).replace("'", "''")))
    except duckdb.IOException as error:
        con.close()
        raise NotThere(
            f"the published snapshot cannot be read: {error}",
            value=file.name,
            remedy="publish anew with `dunning build`",
        ) from None
    con.execute("create schema gate; create schema dunning; create schema ops")
    # what people recorded is asked of the ledger itself, with the time at which they did (gate_facts)
    con.execute(";".join(empty_table(table) for table in metadata.sorted_tables))
    served = dict.fromkeys(("data_model", "unified", "policy", "mapped"), "snapshot")
    for model in rendered_models(
        ws,
        run_date=as_of,
        kind="dunning",
        variables={},
        catalogs=served,
        relations={},
        up_to=["open_credits", "item_promises"],
    ):
        made = "table" if model.name == "items" else "view"
        con.execute(f"create {made} dunning.{quoted(model.name)} as {model.sql}")
    con.execute("create table gate.credits as from dunning.open_credits")
    con.execute("create table gate.promised as select invoice_key from dunning.item_promises where is_promised")
    con.execute(
        """
        create table gate.prevented as
        select account_key as key from snapshot.data_model.accounts where prevent_dunning
        union all
        select bill_group_key from snapshot.data_model.bill_groups where prevent_dunning
        """
    )
    con.execute(
        """
        create table gate.identifiers as
        select invoice_number as word, account_key from snapshot.data_model.invoices
        union
        select lower(email), account_key from snapshot.data_model.contacts where email like '%@%'
        union
        select lower(email), account_key from snapshot.data_model.accounts where email like '%@%'
        """
    )
    # looked for once: DuckDB takes a tenth of a second to say that a table is not there
    says = table_exists(con, "dunning", "account_recipients", "snapshot")
    con.execute(f"create view gate.reached as {_REACHED if says else _NOBODY_REACHED}")
    return con


_REACHED = """
    select account_key, email_to, email_to || email_cc_role || email_cc_account || email_bcc as named, sms_to, address,
        json_extract_string(address, '$.country') as country, has_conflict
    from snapshot.dunning.account_recipients
"""
_NOBODY_REACHED = """
    select null::varchar as account_key, []::varchar[] as email_to, []::varchar[] as named, null::varchar as sms_to,
        null::varchar as address, null::varchar as country, false as has_conflict
    where false
"""

__all__ = ["Holder", "Item", "ItemNow", "NotThere", "PublishedFacts"]
