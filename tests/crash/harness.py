"""Kills the delivering processes with -9 at random points, hundreds of times, and counts what arrived: `make crash`.

The provider counts by our key in a process of its own that outlives every worker. At the end each message has arrived
exactly once, and what was left unknown is settled by the provider's events (or, where the worker died before its
request reached the provider, by the activity log that knows of none).
"""

import argparse
import base64
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
from sqlalchemy import select

from tests.crash.postgres import postgres_bin, postgres_server
from tests.delivery.provider_server import counts_of

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Outcome:
    ledger: str
    messages: int
    rounds: int = 0
    kills_while_sending: int = 0
    lost: int = 0
    doubled: int = 0
    unknown_after_kills: int = 0
    unknown_ever: int = 0
    resolved_by_events: int = 0
    resolved_by_activity_log: int = 0
    unknown_that_was_recorded: int = 0  # must be 0: unknown although the answer was in the ledger
    more_unknown_than_workers: int = 0  # must be 0: at most one request in flight per worker
    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        wrong = self.lost + self.doubled + self.unknown_that_was_recorded + self.more_unknown_than_workers
        return wrong == 0 and self.statuses == {"sent": self.messages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--ledger", choices=["sqlite", "postgres", "both"], default="both")
    options = parser.parse_args()
    ledgers = ["sqlite", "postgres"] if options.ledger == "both" else [options.ledger]
    good = True
    for ledger in ledgers:
        if ledger == "postgres" and postgres_bin() is None:
            print("postgres: not installed, left out")
            continue
        with tempfile.TemporaryDirectory(prefix="dunning-crash-") as folder:
            outcome = torture(Path(folder), ledger=ledger, rounds=options.rounds, messages=options.messages,
                              workers=options.workers, seed=options.seed)  # fmt: skip
        print(json.dumps({**asdict(outcome), "seed": options.seed, "good": outcome.is_good}), flush=True)
        good &= outcome.is_good
    sys.exit(0 if good else 1)


def torture(folder: Path, *, ledger: str, rounds: int, messages: int, workers: int, seed: int) -> Outcome:
    """Deliver `messages` under at least `rounds` kills; what was found."""
    began = time.monotonic()
    folder.chmod(0o755)
    with _ledger(folder, ledger), _provider() as port:
        os.environ.update(
            DUNNING_MAIL="sendgrid", SENDGRID_API_KEY="SG.crash", SENDGRID_HOST=f"http://127.0.0.1:{port}"
        )
        story = Story(folder, port, Outcome(ledger, messages), random.Random(seed), workers)
        story.prepare(messages)
        while story.outcome.rounds < rounds or story.waiting():
            if story.outcome.rounds > rounds * 3:
                break
            story.round(gentle=story.outcome.rounds >= rounds)
        story.finish()
        story.outcome.seconds = round(time.monotonic() - began, 1)
        return story.outcome


class Story:
    def __init__(self, folder: Path, port: int, outcome: Outcome, rng: random.Random, workers: int) -> None:
        for name in ("policies", "templates", "dbt_like_sql"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs"))
        (folder / "inbox").mkdir()
        from dunning_pipeline.settings.workspace import Workspace
        from tests.delivery.desk import Desk

        self.folder, self.port, self.outcome, self.rng, self.workers = folder, port, outcome, rng, workers
        self.desk = Desk(Workspace(folder))
        self.told: set[str] = set()
        self._hook = _SignedHook(self.desk)
        _import_everything()

    def prepare(self, messages: int) -> None:
        from dunning_pipeline.delivery.queue import queue_message
        from tests.delivery.desk import NOW, sample

        document = sample(self.desk.ws)
        numbers = range(messages)
        for start in range(0, messages, 500):
            with self.desk.engine.begin() as connection:
                for number in numbers[start : start + 500]:
                    queue_message(
                        connection, self.desk.ws, campaign="crash", occurrence="1", recipient=f"r{number}",
                        channel="email", to=[f"r{number}@example.com"], account_key=f"salesforce:{number}",
                        template="friendly_reminder", language="en", document=document, now=NOW, actor="crash",
                        send_now=True,
                    )  # fmt: skip

    def waiting(self) -> int:
        statuses = self.desk.statuses()
        return statuses.get("queued", 0) + statuses.get("in_flight", 0)

    def round(self, *, gentle: bool) -> None:
        """Start the delivery, kill it somewhere, look at what the ledger says, tell some events."""
        self.outcome.rounds += 1
        before = sum(counts_of(self.port).values())
        real_command = self.outcome.rounds % 20 == 0
        process = self._start_command() if real_command else self._fork()
        if gentle:
            _wait(process, 60)
        elif self.rng.random() < 0.15:  # while it starts, recovers or claims
            time.sleep(self.rng.uniform(0, 1.0 if real_command else 0.15))
        else:
            deadline = time.monotonic() + 20
            while sum(counts_of(self.port).values()) == before and time.monotonic() < deadline and _runs(process):
                time.sleep(0.001)
            time.sleep(self.rng.uniform(0, 0.12))
        _kill(process)
        self.outcome.kills_while_sending += sum(counts_of(self.port).values()) > before
        self._look()
        self._tell_some_events()

    def _look(self) -> None:
        """What the next `send` makes of the dead workers' claims."""
        from sqlalchemy import func

        from dunning_pipeline.delivery.working.recovery import recover
        from dunning_pipeline.ledger.schema import send_attempts, sends
        from tests.delivery.desk import NOW

        with self.desk.engine.begin() as connection:
            found = recover(connection, self.desk.ws, now=NOW, was_written=lambda provider, key: None)
            recorded = connection.scalar(
                select(func.count())
                .select_from(sends.join(send_attempts, send_attempts.c.send_key == sends.c.send_key))
                .where(sends.c.status == "unknown", send_attempts.c.outcome == "sent")
            )
        self.outcome.unknown_ever += found["unknown"]
        self.outcome.more_unknown_than_workers += found["unknown"] > self.workers
        self.outcome.unknown_that_was_recorded += recorded or 0

    def _tell_some_events(self) -> None:
        """Events come late, twice and in any order."""
        arrived = [key for key in counts_of(self.port) if key not in self.told]
        chosen = [key for key in arrived if self.rng.random() < 0.5]
        self.told.update(chosen)
        self._hook.post(chosen * 2, self.rng)

    def finish(self) -> None:
        outcome = self.outcome
        arrived = counts_of(self.port)
        unknown = [row["key"] for row in self.desk.sends() if row["status"] == "unknown"]
        outcome.unknown_after_kills = len(unknown)
        self._hook.post([key for key in arrived if key not in self.told], self.rng)
        left = [row["key"] for row in self.desk.sends() if row["status"] == "unknown"]
        outcome.resolved_by_events = outcome.unknown_ever - len(left)
        outcome.resolved_by_activity_log = len(left)
        self._settle_by_activity_log(left, arrived)
        _wait(self._start_command(), 120)
        arrived = counts_of(self.port)
        keys = {row["key"] for row in self.desk.sends()}
        outcome.lost = len(keys - set(arrived)) + len(set(arrived) - keys)
        outcome.doubled = sum(number > 1 for number in arrived.values())
        outcome.statuses = self.desk.statuses()

    def _settle_by_activity_log(self, keys: list[str], arrived: dict[str, int]) -> None:
        """The worker died between its note and its request: the provider knows nothing, so it is queued again."""
        from dunning_pipeline.delivery.working.resolving import resolve_by_person
        from tests.delivery.desk import NOW

        for key in keys:
            assert key not in arrived, "an event must have settled this one"
            resolve_by_person(self.desk.ws, key, was_sent=False, now=NOW, actor="crash", reason="not in the log")

    def _fork(self) -> int:
        """The same as the command, without its start-up: a child of this process that has everything imported."""
        child = os.fork()
        if child:
            return child
        os.setsid()
        try:
            from dunning_pipeline.delivery.working.worker import deliver
            from tests.delivery.desk import NOW

            deliver(self.desk.ws, now=NOW, workers=self.workers, processes=1)
        finally:
            os._exit(0)

    def _start_command(self) -> int:
        from tests.delivery.desk import NOW

        command = [sys.executable, "-m", "dunning_pipeline.cli.main", "--workspace", str(self.folder), "send",
                   "--workers", str(self.workers), "--format", "json"]  # fmt: skip
        environment = {**os.environ, "DUNNING_NOW": NOW.isoformat()}
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, start_new_session=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ).pid  # fmt: skip


def _import_everything() -> None:
    """What the forked workers need, so that a round costs milliseconds; imports only, no thread and no connection."""
    warnings.simplefilter("ignore")

    import dunning_pipeline.delivery.providers.sendgrid
    import dunning_pipeline.delivery.webhook
    import dunning_pipeline.delivery.working.worker  # noqa: F401


class _SignedHook:
    """Posts events to the real webhook app, signed as SendGrid signs them."""

    def __init__(self, desk) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        self._private = ec.generate_private_key(ec.SECP256R1())
        public = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        os.environ["SENDGRID_WEBHOOK_PUBLIC_KEY"] = base64.b64encode(public).decode()
        self._desk = desk

    def post(self, keys: list[str], rng: random.Random) -> None:
        if not keys:
            return
        events = [
            {"email": "r@example.com", "timestamp": int(time.time()), "event": name, "dunning_key": key,
             "sg_event_id": f"{key}-{name}", "sg_message_id": f"{key}.x"}
            for key in keys
            for name in ("processed", "delivered")
        ]  # fmt: skip
        rng.shuffle(events)
        child = os.fork()  # the app's threads must not live in the process that forks workers
        if child == 0:
            try:
                taken = self._post_in_child(orjson.dumps(events))
            except BaseException:
                traceback.print_exc()
                taken = False
            os._exit(0 if taken else 1)
        assert os.waitpid(child, 0)[1] == 0, "the webhook did not take the events"

    def _post_in_child(self, body: bytes) -> bool:
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient

        from dunning_pipeline.delivery.events.sendgrid import SIGNATURE, TIMESTAMP
        from dunning_pipeline.delivery.webhook import webhook_app

        stamp = str(int(time.time()))
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256

        signature = base64.b64encode(self._private.sign(stamp.encode() + body, ec.ECDSA(SHA256()))).decode()
        client = TestClient(webhook_app(self._desk.ws))
        answer = client.post("/webhooks/sendgrid", content=body, headers={SIGNATURE: signature, TIMESTAMP: stamp})
        if answer.status_code != 200:
            print(answer.status_code, answer.text, file=sys.stderr)
        return answer.status_code == 200


@contextmanager
def _ledger(folder: Path, kind: str) -> Iterator[None]:
    if kind == "sqlite":
        os.environ.pop("DUNNING_LEDGER_URL", None)
        yield
        return
    with postgres_server(folder / "postgres") as url:
        os.environ["DUNNING_LEDGER_URL"] = url
        try:
            yield
        finally:
            from dunning_pipeline.ledger.engine import dispose

            dispose(url)
            del os.environ["DUNNING_LEDGER_URL"]


@contextmanager
def _provider() -> Iterator[int]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.delivery.provider_server", "0.03"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()


def _runs(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG) == (0, 0)


def _wait(pid: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if not _runs(pid):
                return
        except ChildProcessError:
            return
        time.sleep(0.01)


def _kill(pid: int) -> None:
    """-9 to the worker process and everything that it started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
