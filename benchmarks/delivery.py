"""Speed of delivery, each figure with its floor measured in the same run: `python -m benchmarks.delivery [--quick]`.

render      mails/s/core from one template version (floor: the bare Jinja templates)
outbox      messages/s into the outbox folder, one process and all cores (floors: writing the same files there, one sync
            per batch, by one process and by as many as there are cores)
sendgrid    messages/s/core over loopback TLS without PDF
reminders   both for closed statements: the gate reads each amount from the snapshot, and levels are recorded
pdf         messages/s on all cores with PDF/A-3b over TLS (floor: typst + POST and nothing else)
webhook     events/s as fast as they are taken, and latency at 2,000 a second, while one thread builds
memory      growth of the process over many sends

Counted is everything that `dunning send` does once it runs: claim, gate, render, leak check, payload, request or files,
ledger. Not counted: making and queueing the messages, and the provider, which is a process of its own. Figures per core
are those of the delivering process's CPU time. A first small delivery before the clock starts pays for imports and for
opening the ledger. `pdf` begins processes: what they need until the first message is told apart (`start_seconds`), and
the share is that of the time after it, as the floor's processes are warm, too.
"""

import argparse
import base64
import gc
import json
import multiprocessing
import os
import resource
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2025, 11, 4, 9, 0, tzinfo=UTC)


def main() -> None:
    gc.set_threshold(50_000, 20, 20)  # as `dunning` and its delivering processes do
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    parser.add_argument("only", nargs="*", help="names of measurements")
    options = parser.parse_args()
    scale = 10 if options.quick else 1
    measures: dict[str, Callable[[int], dict[str, Any]]] = {
        "render": render,
        "outbox": outbox,
        "sendgrid": sendgrid,
        "reminders": reminders,
        "pdf": with_pdf,
        "webhook": webhook,
        "memory": memory,
    }
    for name, measure in measures.items():
        if not options.only or name in options.only:
            print(json.dumps({"benchmark": f"delivery.{name}", **measure(scale)}), flush=True)


# -- measurements ----------------------------------------------------------------------------------------------------
def render(scale: int) -> dict[str, Any]:
    from jinja2 import Environment

    from dunning_pipeline.letters.rendering import render_email
    from tests.delivery.desk import sample

    with desk() as place:
        version = _version(place.ws)
        document = sample(place.ws)
        count = 20_000 // scale
        render_email(version, document)
        ours = _cpu_rate(lambda: render_email(version, document), count)
    plain = Environment(autoescape=True).from_string("<p>{{ account.name }}</p>" * 40)
    floor = _cpu_rate(lambda: plain.render(document), count)
    return {"mails_per_second_per_core": round(ours), "target": 10_000, "bare_jinja_per_second": round(floor)}


def outbox(scale: int) -> dict[str, Any]:
    """Rounds of delivering and of bare writing, all into one folder, in turn first: what a file costs there depends on
    what others wrote and deleted near it in the last minutes (ext4 looks for names that were not in use lately)."""
    count = 10_000 // scale
    told: dict[str, Any] = {"messages": count, "target_share": 0.5}
    with desk() as place:
        warm(place)
        for name, processes in (("one_process", 1), ("all_cores", os.cpu_count() or 1)):
            told[name] = _outbox_rounds(place, count, processes)
    return told


def _outbox_rounds(place: Any, count: int, processes: int, *, rounds: int = 6) -> dict[str, Any]:
    share = count // rounds
    _delivered(place, share, processes, "first")
    written = [file for file in place.ws.outbox.iterdir() if not file.name.startswith("bare")]
    files = [(file.name, file.read_bytes()) for file in sorted(written)[: 2 * share]]
    writers = sorted({1, processes})
    wall, starting, bare = 0.0, 0.0, dict.fromkeys(writers, 0.0)
    for number in range(rounds):
        for who in [0, *writers][number % 3 :] + [0, *writers][: number % 3]:  # 0: deliver
            if who:
                named = [(f"bare-{processes}-{number}-{who}-{name}", content) for name, content in files]
                bare[who] += _bare_seconds(place.ws.outbox, named, who)
            else:
                seconds, start = _delivered(place, share, processes, str(number))
                wall, starting = wall + seconds, starting + start
    return {
        "messages_per_second": round(rounds * share / wall),
        **({"start_seconds": round(starting / rounds, 2)} if processes > 1 else {}),
        "bare_writes_per_second": {who: round(rounds * share / seconds) for who, seconds in bare.items()},
        "share_of_bare_writes": {who: round(seconds / wall, 3) for who, seconds in bare.items()},
    }


def _delivered(place: Any, count: int, processes: int, name: str) -> tuple[float, float]:
    """Seconds in which so many messages are delivered, and those until the first are, where processes are begun."""
    from dunning_pipeline.delivery.working.worker import deliver

    queue(place, count, occurrence=f"{processes}.{name}")
    first: list[tuple[float, int]] = []

    def progress(text: str, done: int, total: int) -> None:
        if done and not first:
            first.append((time.perf_counter(), done))

    began = time.perf_counter()
    assert deliver(place.ws, now=NOW, workers=processes, processes=processes, progress=progress)["sent"] == count
    since, sent = first[0] if processes > 1 else (began, 0)
    return (time.perf_counter() - since) * count / (count - sent), since - began


def _bare_seconds(folder: Path, files: list[tuple[str, bytes]], writers: int) -> float:
    began, children = time.perf_counter(), []
    for number in range(1, writers):
        child = os.fork()
        if not child:
            _bare_writes(folder, files[number::writers])
            os._exit(0)
        children.append(child)
    _bare_writes(folder, files[::writers])
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    return time.perf_counter() - began


def _bare_writes(folder: Path, files: list[tuple[str, bytes]]) -> None:
    from dunning_pipeline.delivery.providers.outbox import sync
    from dunning_pipeline.delivery.working.lane import BATCH

    for start in range(0, len(files), 2 * BATCH):
        names = []
        for name, content in files[start : start + 2 * BATCH]:
            path = f"{folder}/{name}"
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.write(handle, content)
            os.close(handle)
            names.append(path)
        sync(folder, names)


def sendgrid(scale: int) -> dict[str, Any]:
    from dunning_pipeline.delivery.working.worker import deliver

    count = 5_000 // scale
    with desk() as place, tls_sink():
        warm(place)
        queue(place, count)
        began, cpu = time.perf_counter(), time.process_time()
        assert deliver(place.ws, now=NOW, workers=16, processes=1)["sent"] == count
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "messages": count,
        "messages_per_second": round(count / wall),
        "messages_per_second_per_core": round(count / cpu),
        "cpu_ms_per_message": round(cpu / count * 1000, 3),
        "target_per_core": 1_000,
    }


def reminders(scale: int) -> dict[str, Any]:
    from dunning_pipeline.delivery.working.worker import deliver

    count = max(2_000, 5_000 // scale)  # fewer, and reading the snapshot once is most of it
    told: dict[str, Any] = {"messages": count}
    for provider, workers in (("outbox", 1), ("sendgrid", 16)):
        with desk() as place, tls_sink(), patch.dict(os.environ, {"DUNNING_MAIL": provider}):
            warm(place)
            queue_statements(place, count, overrides={"attachments": False})
            cpu = time.process_time()
            assert deliver(place.ws, now=NOW, workers=workers, processes=1)["sent"] == count
            told[f"{provider}_cpu_ms_per_message"] = round((time.process_time() - cpu) / count * 1000, 3)
    return told


def with_pdf(scale: int) -> dict[str, Any]:
    from dunning_pipeline.delivery.working.worker import deliver

    # fewer, and what each process does once is most of it
    count, cores = max(1_500, 3_000 // scale), os.cpu_count() or 1
    seen: list[tuple[float, int]] = []
    with desk() as place, tls_sink():
        queue_statements(place, count)
        began = time.perf_counter()
        counts = deliver(place.ws, now=NOW, workers=2 * cores, processes=cores,
                         progress=lambda text, done, total: seen.append((time.perf_counter(), done)))  # fmt: skip
        assert counts["sent"] == count
        first = next(one for one in seen if one[1])
        rate = (seen[-1][1] - first[1]) / (seen[-1][0] - first[0])
        context = multiprocessing.get_context("spawn")
        with context.Pool(cores) as pool:
            pool.map(_bare_pdfs, [(str(place.ws.root), 0, 2)] * cores)  # warm
            shares = [(str(place.ws.root), core * (count // cores), count // cores) for core in range(cores)]
            bare_began = time.perf_counter()
            pool.map(_bare_pdfs, shares, chunksize=1)
            bare = count / (time.perf_counter() - bare_began)
    return {
        "messages": count,
        "cores": cores,
        "start_seconds": round(first[0] - began, 2),
        "messages_per_second": round(rate, 1),
        "bare_typst_and_post_per_second": round(bare, 1),
        "share_of_bare": round(rate / bare, 3),
        "share_with_start": round(count / (seen[-1][0] - began) / bare, 3),
        "target_share": 0.9,
    }


def webhook(scale: int) -> dict[str, Any]:
    """Posts of 20 events over HTTP from 8 clients while a thread builds in DuckDB: first as fast as they are taken,
    then 2,000 events a second, each latency counted from the moment when its post was due."""
    from tests.delivery.signing import Signer, body_of, event

    signer, per_post, clients = Signer(), 20, 8
    total = 20_000 // scale
    with desk() as place:
        keys = queue(place, 2_000 // scale)
        environment = {**os.environ, "SENDGRID_WEBHOOK_PUBLIC_KEY": signer.public_key}
        with _server(place.ws.root, environment) as port, _building():

            def posts(count: int, name: str) -> list[tuple[bytes, dict[str, str]]]:
                made = []
                for post in range(count):
                    numbers = range(post * per_post, (post + 1) * per_post)
                    body = body_of(*(event("delivered", keys[n % len(keys)], identity=f"{name}{n}") for n in numbers))
                    made.append((body, signer.headers(body)))
                return made

            _post_all(port, posts(2 * clients, "warm"), clients)
            _, seconds = _post_all(port, posts(total // per_post, "fast"), clients)
            latencies, _ = _post_all(port, posts(total // per_post, "paced"), clients, every=per_post / 2_000)
    latencies.sort()
    return {
        "events": total,
        "events_per_second": round(total / seconds),
        "p50_ms_at_2000": round(latencies[len(latencies) // 2] * 1000, 1),
        "p99_ms_at_2000": round(latencies[int(len(latencies) * 0.99)] * 1000, 1),
        "targets": {"events_per_second": 2_000, "p99_ms_at_2000": 50},
    }


def memory(scale: int) -> dict[str, Any]:
    """Resident size after the first tenth of 200 000 sends, and at the end."""
    count, rounds = 200_000 // scale, 10
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.delivery", "--inner-memory", str(count), str(rounds)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    if told.returncode:
        return {"error": told.stderr[-500:]}
    return json.loads(told.stdout.strip().splitlines()[-1])


def inner_memory(count: int, rounds: int) -> None:
    from dunning_pipeline.delivery.working.worker import deliver

    sizes = []
    with desk() as place:
        for number in range(rounds):
            queue_copies(place, count // rounds, occurrence=str(number))
            assert deliver(place.ws, now=NOW)["sent"] == count // rounds
            for file in place.ws.outbox.iterdir():
                file.unlink()
            sizes.append(_resident_mb())
            print(f"{(number + 1) * (count // rounds)} sends: {sizes[-1]} MB", file=sys.stderr)
    print(json.dumps({"sends": count, "mb_after_each_tenth": sizes, "growth_mb": round(sizes[-1] - sizes[1], 1)}))


# -- scenery -----------------------------------------------------------------------------------------------------------
@contextmanager
def desk() -> Iterator[Any]:
    from dunning_pipeline.settings.workspace import Workspace
    from tests.delivery.desk import Desk

    folder = Path(tempfile.mkdtemp(prefix="dunning-bench-"))
    try:
        for name in ("policies", "templates", "dbt_like_sql"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs"))
        (folder / "inbox").mkdir()
        yield Desk(Workspace(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def queue(place: Any, count: int, *, occurrence: str = "1") -> list[str]:
    from dunning_pipeline.delivery.queue import queue_message
    from tests.delivery.desk import sample

    document, keys = sample(place.ws), []
    for start in range(0, count, 2_000):
        with place.engine.begin() as connection:
            for number in range(start, min(start + 2_000, count)):
                keys.append(
                    queue_message(
                        connection, place.ws, campaign="bench", occurrence=occurrence, recipient=f"r{number}",
                        channel="email", to=[f"r{number}@example.com"], account_key=f"salesforce:{number}",
                        template="friendly_reminder", language="en", document=document, now=NOW, actor="bench",
                        send_now=True, kind="dunning",
                    )
                )  # fmt: skip
    return keys


def queue_copies(place: Any, count: int, *, occurrence: str) -> None:
    """As many queued messages as fast as the ledger takes rows: one is queued, the others are copies of its row."""
    from dunning_pipeline.ledger.schema import sends

    [key] = queue(place, 1, occurrence=occurrence)
    own = {"send_key": "send_key || n", "account_key": "account_key || n",
           "recipients": """replace(recipients, '"r0@', '"r' || n || '@')"""}  # fmt: skip
    names = sends.columns.keys()
    with place.engine.begin() as connection:
        connection.exec_driver_sql(
            f"with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < {count - 1}) "
            f"insert into sends ({', '.join(names)}) select {', '.join(own.get(name, name) for name in names)} "
            f"from sends, numbers where send_key = ?", (key,)
        )  # fmt: skip


def queue_statements(place: Any, count: int, **more: Any) -> None:
    for number in range(count):
        place.invoice(f"INV-{number:06d}", account=f"a{number}")
    place.publish()
    with place.one_transaction():
        for number in range(count):
            place.queue(place.statement(f"a{number}", lines={f"INV-{number:06d}": 10000}), **more)


def _version(ws: Any) -> Any:
    from dunning_pipeline.letters.catalogue import Catalogue
    from dunning_pipeline.letters.compiling import compile_template

    return compile_template(Catalogue(ws).find("friendly_reminder", "email", "en"))


def _cpu_rate(work: Callable[[], object], count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        work()
    return count / (time.process_time() - began)


def warm(place: Any) -> None:
    from dunning_pipeline.delivery.working.worker import deliver

    queue(place, 50, occurrence="warm")
    assert deliver(place.ws, now=NOW)["sent"] == 50


@contextmanager
def tls_sink() -> Iterator[None]:
    """A provider in a process of its own behind a self-signed certificate; the environment leads to it meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
        sink = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.delivery", "--inner-sink", folder], stdout=subprocess.PIPE,
            stdin=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        assert sink.stdout is not None
        port = int(sink.stdout.readline())
        try:
            environment = {
                "DUNNING_MAIL": "sendgrid",
                "SENDGRID_API_KEY": "SG.bench",
                "SENDGRID_HOST": f"https://127.0.0.1:{port}",
                "SENDGRID_CA_FILE": f"{folder}/cert.pem",
            }
            with patch.dict(os.environ, environment):
                yield
        finally:
            sink.kill()
            sink.wait()


def inner_sink(folder: str) -> None:
    from tests.delivery.provider_server import ProviderServer, Reply

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    server = ProviderServer(lambda request, number: Reply(202), tls=context)
    server._keep = False
    type(server.counts).__missing__ = lambda self, key: 0
    with server:
        print(server.port, flush=True)
        sys.stdin.read()


def _bare_pdfs(task: tuple[str, int, int]) -> None:
    """The same letters by typst and a POST of the same size, with nothing between: the floor of `pdf`."""
    import urllib3

    from dunning_pipeline.letters.catalogue import Catalogue
    from dunning_pipeline.letters.compiling import compile_template
    from dunning_pipeline.letters.pdf import render_pdf
    from dunning_pipeline.settings.workspace import Workspace

    root, start, count = task
    ws = Workspace(root)
    version = compile_template(Catalogue(ws).find("friendly_reminder", "letter", "en"))
    pool = urllib3.PoolManager(ca_certs=os.environ["SENDGRID_CA_FILE"])
    url = os.environ["SENDGRID_HOST"] + "/v3/mail/send"
    for document in _contents(root)[start : start + count]:
        body = base64.b64encode(render_pdf(document, version=version)) + b"x" * 20_000
        pool.request("POST", url, body=b"[" + body + b"]", headers={"Content-Type": "application/json"})


@cache
def _contents(root: str) -> list[dict[str, Any]]:
    """The frozen documents of all statements: letters that differ as those of `deliver` do."""
    from sqlalchemy import select

    from dunning_pipeline.ledger.engine import open_ledger, reading
    from dunning_pipeline.ledger.schema import statements
    from dunning_pipeline.settings.workspace import Workspace

    with reading(open_ledger(Workspace(root))) as connection:
        return list(connection.scalars(select(statements.c.content).order_by(statements.c.statement_id)))


@contextmanager
def _server(root: Path, environment: dict[str, str]) -> Iterator[int]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dunning_pipeline.cli.main", "webhook", "--port", str(port)]
    server = subprocess.Popen(
        command, cwd=ROOT, env={**environment, "DUNNING_WORKSPACE": str(root)}, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait()


@contextmanager
def _building() -> Iterator[None]:
    """One thread of another process that aggregates in DuckDB without pause."""
    code = (
        "import duckdb\ncon = duckdb.connect(config={'threads': 1})\nwhile True:\n"
        "    con.execute('select range % 1000 as k, sum(range) from range(5000000) group by k').fetchall()"
    )
    builder = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        builder.kill()
        builder.wait()


def _post_all(
    port: int, posts: list[tuple[bytes, dict[str, str]]], clients: int, *, every: float = 0.0
) -> tuple[list[float], float]:
    """Latencies and the whole time in seconds; one post is due `every` seconds, as fast as possible where that is 0."""
    import http.client

    latencies: list[float] = []
    waiting = iter(enumerate(posts))
    lock = threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while True:
            with lock:
                number, post = next(waiting, (0, None))
            if post is None:
                return
            due = began + number * every if every else time.perf_counter()
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.request("POST", "/webhooks/sendgrid", body=post[0], headers=post[1])
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            latencies.append(time.perf_counter() - due)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies, time.perf_counter() - began


def _resident_mb() -> float:
    if Path("/proc/self/statm").exists():
        return round(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1)


if __name__ == "__main__":
    if "--inner-sink" in sys.argv:
        inner_sink(sys.argv[-1])
    elif "--inner-memory" in sys.argv:
        inner_memory(int(sys.argv[-2]), int(sys.argv[-1]))
    else:
        main()
