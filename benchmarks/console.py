"""Figures of the console: server time of each list and detail page for 20 people at once over a large ledger.

`python -m benchmarks.console [--statements 1000000] [--users 20] [--seconds 60] [--quiet]`; five lines a statement.
Beside the people a single-threaded query load (as a build) and a delivery's writes go on; --quiet leaves both out.
The CPU columns are the page's own work, whatever else the machine does; the server time contains the waiting for cores.
"""

import argparse
import http.client
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from dunning_pipeline.console import access
from dunning_pipeline.ledger.engine import dispose, open_ledger, sqlite_file
from dunning_pipeline.ledger.schema import metadata, sends, statement_details, statements
from dunning_pipeline.settings.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2026, 1, 8, 9, tzinfo=UTC)
LINES = 5
PER_ACCOUNT = 5
PER_RUN = 4_000
LIST_MS, SEARCH_MS, FIRST_PAGE_BYTES = 100, 200, 150_000
FIRST_PAGE = ("/", "/static/console.css", "/static/htmx.min.js", "/static/console.js", "/static/icon.svg")

PAGES = {
    "today": "/",
    "statements": "/statements",
    "statements, page 20": "/statements?page=20",
    "statements, drafts": "/statements?status=draft",
    "statements, by amount": "/statements?sort=-amount",
    "statements, by account": "/statements?sort=account",
    "statements, level 3": "/statements?level=3",
    "statements, rare currency": "/statements?currency=CHF",
    "one statement": "/statements/st{statement}",
    "accounts": "/accounts",
    "one account": "/accounts/s:{account}",
    "runs": "/runs",
    "one run": "/runs/r{run}",
    "sends": "/sends",
    "sends, queued": "/sends?status=queued",
    "one send": "/sends/sd{statement}",
    "findings": "/findings",
    "audit": "/audit",
    "calendar": "/calendar",
    "search: account": "/search?q=Customer+{account}",
    "search: invoice": "/search?q=INV-{statement}",
    "search: e-mail": "/search?q=c{account}@example.com",
    "search: statements": "/statements?q=Customer+{account}",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--statements", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--quiet", action="store_true", help="no build and no delivery beside")
    parser.add_argument("--workspace", type=Path, help="keep the filled ledger here, or use the one that is here")
    given = parser.parse_args()
    folder = given.workspace or Path(tempfile.mkdtemp(prefix="console-"))
    try:
        ws = _workspace(folder, given.statements)
        return _measure(ws, given)
    finally:
        if given.workspace is None:
            shutil.rmtree(folder, ignore_errors=True)


def _measure(ws: Workspace, given: argparse.Namespace) -> int:
    tokens = _sessions(ws, given.users)
    with _server(ws) as port, _beside(ws, given.quiet):
        for path in PAGES.values():  # each page once: templates are compiled, modules loaded
            _get(port, path.format(statement=0, account=0, run=0), tokens[0])
        size = sum(len(_get(port, path, tokens[0])) for path in FIRST_PAGE)
        floor: list[float] = []
        times = _people(port, tokens, given, lambda: floor.append(_bare_list(ws)))
    cores = os.cpu_count()
    print(f"{given.statements:,} statements, {given.users} users, {cores} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'page':28} {'requests':>8} {'CPU ms':>8} {'CPU p95':>8} {'median ms':>10} {'p95 ms':>8}")
    slow = []
    for name in PAGES:
        taken = [one for one, _ in times[name]]
        cpu = [one for _, one in times[name]]
        limit = SEARCH_MS if name.startswith("search") else LIST_MS
        p95 = _percentile(taken)
        own = f"{statistics.median(cpu):8.1f} {_percentile(cpu):8.1f}"
        print(f"{name:28} {len(taken):8} {own} {statistics.median(taken):10.1f} {p95:8.1f}")
        slow += [f"{name}: p95 {p95:.0f} ms, at most {limit}"] if p95 > limit else []
    print(f"floor, the bare SQL of the list: median {statistics.median(floor):.1f} ms, p95 {_percentile(floor):.1f} ms")
    print(f"first page with all it loads: {size:,} bytes (at most {FIRST_PAGE_BYTES:,})")
    slow += [f"first page {size} bytes"] if size > FIRST_PAGE_BYTES else []
    for line in slow:
        print(f"ABOVE ITS LIMIT: {line}")
    return 1 if slow else 0


def _percentile(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)] if values else 0.0


# -- people ------------------------------------------------------------------------------------------------------------


def _people(port: int, tokens: list[str], given: argparse.Namespace, between) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of the server and of its CPU by page; a person reads a page, thinks for a second, reads the next."""
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    end = time.monotonic() + given.seconds

    def person(number: int, token: str) -> None:
        chance = random.Random(number)
        names = list(PAGES)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        time.sleep(chance.uniform(0, 2))  # people do not come in at the same instant
        while time.monotonic() < end:
            if not names:
                names = list(PAGES)
            name = names.pop(chance.randrange(len(names)))
            statement = chance.randrange(given.statements)
            path = PAGES[name].format(statement=statement, account=statement // PER_ACCOUNT, run=statement // PER_RUN)
            connection.request("GET", path, headers={"Cookie": f"dunning_session={token}"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (path, answer.status)
            taken, cpu = (float(part.split("dur=")[1]) for part in answer.headers["Server-Timing"].split(","))
            times[name].append((taken, cpu))
            time.sleep(chance.uniform(0.5, 1.5))

    threads = [threading.Thread(target=person, args=one) for one in enumerate(tokens)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        between()
        time.sleep(1)
    return times


def _bare_list(ws: Workspace) -> float:
    """Milliseconds of the list page's two queries alone."""
    file = sqlite_file(ws.ledger_url)
    columns = "statement_id, number, status, dunning_date, account_name, level, please_pay_minor, due_date, channels"
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as con:
        started = time.perf_counter()
        con.execute(
            f"select {columns} from statements where status != 'deleted' "
            "order by dunning_date desc, statement_id desc limit 51"
        ).fetchall()
        con.execute("select count(*) from (select 1 from statements where status != 'deleted' limit 10001)").fetchall()
        return (time.perf_counter() - started) * 1000


def _get(port: int, path: str, token: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path, headers={"Cookie": f"dunning_session={token}", "Accept-Encoding": "gzip"})
    return connection.getresponse().read()


def _sessions(ws: Workspace, count: int) -> list[str]:
    tokens = []
    with open_ledger(ws).begin() as connection:
        for _ in range(count):
            login = f"user-{random.getrandbits(60)}"
            user = access.add_user(connection, login=login, name=login, role="admin", password=None)
            tokens.append(access.open_session(connection, user))
    return tokens


# -- the server and what goes on beside it -----------------------------------------------------------------------------


@contextmanager
def _server(ws: Workspace) -> Iterator[int]:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dunning_pipeline.cli.main", "--workspace", str(ws.root), "console"]
    environment = {**os.environ, "DUNNING_NOW": NOW.isoformat()}
    server = subprocess.Popen([*command, "--port", str(port)], env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=5).read()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)


@contextmanager
def _beside(ws: Workspace, quiet: bool) -> Iterator[None]:
    """A build's kind of work on one thread, and a delivery's: fifty small write transactions a second."""
    stop = threading.Event()

    def build() -> None:
        con = duckdb.connect(config={"threads": 1})
        while not stop.is_set():
            con.execute("select count(distinct hash(range) % 1000003) from range(2000000)").fetchall()

    def deliver() -> None:
        engine = open_ledger(ws)
        while not stop.is_set():
            key = f"sd{random.randrange(1000)}"
            with engine.begin() as connection:
                connection.execute(sends.update().where(sends.c.send_key == key).values(delivery_at=NOW))
            time.sleep(0.02)

    threads = [] if quiet else [threading.Thread(target=build), threading.Thread(target=deliver)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# -- filling -----------------------------------------------------------------------------------------------------------


def _workspace(root: Path, count: int) -> Workspace:
    """A workspace with `count` statements and what belongs to them, filled past the product in bulk."""
    if (root / "policies").is_dir():
        return Workspace(root)
    for folder in ("policies", "templates", "dbt_like_sql"):
        shutil.copytree(ROOT / folder, root / folder)
    ws = Workspace(root)
    open_ledger(ws)
    started = time.perf_counter()
    _fill_ledger(ws, count)
    _fill_snapshot(ws, count)
    print(f"filled in {time.perf_counter() - started:.0f} s, {_size(root):.1f} GB")
    return ws


def _size(root: Path) -> float:
    return sum(file.stat().st_size for file in root.rglob("*") if file.is_file()) / 1e9


def _fill_ledger(ws: Workspace, count: int) -> None:
    file = sqlite_file(ws.ledger_url)
    dispose(ws.ledger_url)
    con = sqlite3.connect(str(file), isolation_level=None)
    con.execute("pragma synchronous = off")
    con.execute("pragma cache_size = -400000")
    names = {index.name for table in metadata.sorted_tables for index in table.indexes}
    made = [row for row in con.execute("select name, sql from sqlite_master where type = 'index'") if row[0] in names]
    guards = con.execute("select name, sql from sqlite_master where type = 'trigger'").fetchall()
    con.execute("begin")
    for name, _ in made:
        con.execute(f"drop index {name}")
    for name, _ in guards:
        con.execute(f"drop trigger {name}")
    con.execute("create temp table n (i integer primary key)")
    con.execute(f"insert into n with recursive c(i) as (select 0 union all select i + 1 from c where i < {count - 1}) "
                "select i from c")  # fmt: skip
    for sql in _ROWS:
        con.execute(sql.format(n="n", instant="2026-01-08T08:00:00.000000Z", per_run=PER_RUN, per_account=PER_ACCOUNT))
    for _, sql in [*made, *guards]:
        con.execute(sql)
    con.execute("commit")
    con.execute("analyze")
    con.close()
    print(f"ledger: {count:,} {statements.name}, {count * LINES:,} {statement_details.name}, {count:,} {sends.name}")


_CONTENT = '{{"greeting":"' + "x" * 900 + '"}}'
_ROWS = (
    """insert into runs (run_id, kind, dunning_date, scope, status, started_at, created_by)
    select 'r' || (i / {per_run}), 'dunning', date('2026-01-08', '-' || (i / {per_run}) || ' days'), '{{}}', 'done',
        '{instant}', 'bench' from {n} where i % {per_run} = 0""",
    f"""insert into statements (statement_id, number, kind, status, run_id, dunning_date, account_key, account_id,
        account_name, bill_group_key, unit_key, process, level, level_name, currency, due_date, language, template,
        channels, approval, attach_invoices, do_not_send, recipients, address, distribution, texts, hand_edits,
        conflicts, principal_minor, credits_minor, interest_minor, fees_minor, please_pay_minor, content, row_version,
        created_at, updated_at, updated_by)
    select 'st' || i, case when i % 100 then 'D-' || i end, 'dunning', case when i % 100 then 'closed' else 'draft' end,
        'r' || (i / {{per_run}}), date('2026-01-08', '-' || (i / {{per_run}}) || ' days'),
        's:' || (i / {{per_account}}),
        'a' || (i / {{per_account}}), 'Customer ' || (i / {{per_account}}), 's:' || (i / {{per_account}}),
        's:' || (i / {{per_account}}), 'standard', 1 + i % 4, 'Level', case when i % 500 then 'EUR' else 'CHF' end,
        '2026-01-20', 'en', 'friendly_reminder', '["email"]', 'automatic', 0, 0,
        '{{{{"to":["c' || (i / {{per_account}}) || '@example.com"]}}}}', '{{{{"name":"Customer"}}}}', '{{{{}}}}',
        '{{{{}}}}', '{{{{}}}}', '{{{{}}}}', 10000 + i, 0, 100, 500, 10600 + (i * 7919) % 1000003, '{_CONTENT}',
        1, '{{instant}}', '{{instant}}', 'bench'
    from {{n}}""",
    """insert into statement_details (statement_id, position, type, invoice_key, invoice_id, invoice_number, instalment,
        level, due_date, days_overdue, original_minor, open_minor, amount_minor, advances)
    select 'st' || i, p.column1, 'invoice', 's:i' || i, 'i' || i, 'INV-' || i, 1, 1, '2025-12-20', 19, 10000, 10000,
        10000, 1 from {n}, (values (1), (2), (3), (4), (5)) as p""",
    """insert into sends (send_key, kind, channel, statement_id, account_key, recipients, content_sha256, status,
        due_at, send_now, attempts, queued_at, sent_at, created_by)
    select 'sd' || i, 'dunning', 'email', 'st' || i, 's:' || (i / {per_account}),
        '{{"to":["c' || (i / {per_account}) || '@example.com"]}}', 'x', case when i % 200 then 'sent' else 'queued' end,
        strftime('%Y-%m-%dT%H:%M:%f000Z', '2026-01-08', '-' || (i / {per_run}) || ' days'), 0, 1, '{instant}',
        case when i % 200 then strftime('%Y-%m-%dT%H:%M:%f000Z', '2026-01-08', '-' || (i / {per_run}) || ' days') end,
        'bench' from {n}""",
    """insert into audit (audit_id, at, business_at, actor, action, object_kind, object_id)
    select 'au' || i, strftime('%Y-%m-%dT%H:%M:%f000Z', '2026-01-08', '-' || i || ' seconds'), '{instant}', 'bench',
        'statement.close', 'statement', 'st' || i from {n}""",
    """insert into findings (finding_id, finding_key, kind, severity, object_kind, object_id, message, status,
        raised_at, seen_at)
    select 'f' || i, 'f' || i, 'bounced', 'warning', 'send', 'sd' || i, 'a message came back', 'open', '{instant}',
        '{instant}' from {n} where i % 1000 = 0""",
)


def _fill_snapshot(ws: Workspace, count: int) -> None:
    from tests.scenarios.facts import Facts

    accounts = count // PER_ACCOUNT + 1
    with duckdb.connect(str(Facts().publish(ws, "bench"))) as con:
        con.execute(
            f"""insert into data_model.accounts by name
            select 's:' || range as account_key, 's' as source, 'a' || range as account_id,
                'Customer ' || range as name, 'c' || range || '@example.com' as email, 'Kim' as owner
            from range({accounts})"""
        )
        con.execute(
            f"""insert into data_model.contacts by name
            select 's:c' || range as contact_key, 's' as source, 's:' || range as account_key,
                'c' || range || '@example.com' as email from range({accounts})"""
        )
        con.execute(
            f"""insert into data_model.invoices by name
            select 's:i' || range as invoice_key, 's' as source, 'i' || range as invoice_id,
                'INV-' || range as invoice_number, 's:' || (range // {PER_ACCOUNT}) as account_key, 'EUR' as currency,
                'posted' as status, date '2025-12-20' as due_date from range({count})"""
        )
        con.execute("create schema unified; create schema dunning")
        con.execute(
            "create table unified.account_links as select source, account_key, 'U' || account_id as unified_account_id,"
            " 'alone' as rule, 1.0 as confidence from data_model.accounts"
        )
        con.execute(
            """create table dunning.open_items as select invoice_key, invoice_number, 1 as instalment, account_key,
                account_key as bill_group_key, currency, 100.00::decimal(19,4) as open_amount, 19 as days_overdue,
                due_date, due_date as effective_due_date, 1 as last_level, false as is_disputed, false as is_promised,
                false as is_broken_promise from data_model.invoices"""
        )


if __name__ == "__main__":
    sys.exit(main())
