"""What the workers of one delivering process share: ledger, facts, providers, circuits, counts, and when to stop."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select

from dunning_pipeline.delivery.judging.facts import PublishedFacts
from dunning_pipeline.delivery.judging.verdicts import business_day
from dunning_pipeline.delivery.outlets import Outlets, TokenBucket
from dunning_pipeline.delivery.providers.protocol import Answer
from dunning_pipeline.delivery.rendering import Renderer
from dunning_pipeline.delivery.switches import switch_off, switch_on
from dunning_pipeline.delivery.working.claims import charge_comes_first, claim, renew_lease
from dunning_pipeline.delivery.working.recorder import Recorder
from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.bulk import uncollected
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.processes import process_mark
from dunning_pipeline.ledger.schema import sends
from dunning_pipeline.settings.workspace import Workspace

# Refusals and answers that leave a message unknown; then the circuit opens: a provider that is down is not asked a
# thousand times, and no whole night's messages become unknown.
REFUSALS_IN_A_ROW = 5
LONGEST_WAIT_SECONDS = 60.0  # for a message that was refused for now; longer ones wait for the next `send`
HEARTBEAT_SECONDS = 20.0


class Session:
    """One per process and `send`. Counters and circuits may be used from many threads."""

    def __init__(
        self, ws: Workspace, *, now: datetime, send_now: bool, shares: int = 1, progress: Callable[[int], None] | None
    ) -> None:
        self.ws = ws
        self.send_now = send_now
        self.engine = open_ledger(ws)
        self.facts = PublishedFacts(ws)
        self.renderer = Renderer(ws, owners=self.owners)
        self.outlets = Outlets(ws, now=now)
        self.recorder = Recorder(self.engine)
        self.bucket = TokenBucket.from_environment(shares=shares)
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self.closed_channels: set[str] = set()
        self.stopping = threading.Event()
        self._progress = progress
        self._now, self._started = now, time.monotonic()
        self._refusals: Counter[str] = Counter()
        self._not_before: dict[str, float] = {}
        self._lock = threading.Lock()
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._heart.start()

    def now(self) -> datetime:
        """The business instant, going on from the one this run began with."""
        return self._now + timedelta(seconds=time.monotonic() - self._started)

    def owners(self, words: Iterable[str]) -> dict[str, set[str]]:
        """For words: the accounts whose invoice number or e-mail address they are; none before the first build."""
        try:
            return self.facts.owners(words, as_of=business_day(self.now(), self.ws.company))
        except NotThere:
            return {}

    def worker_name(self, number: int) -> str:
        return f"{process_mark()}/{number}"

    def claim(self, worker: str, limit: int, channels: Collection[str] | None = None) -> list[dict[str, Any]]:
        if self.stopping.is_set():
            return []
        with uncollected():
            return self.recorder.run(
                lambda connection: claim(
                    connection,
                    worker=worker,
                    now=self.now(),
                    limit=limit,
                    send_now=self.send_now,
                    channels=channels,
                    avoid=self.closed_channels,
                )
            )

    def count(self, outcome: str, number: int = 1) -> None:
        with self._lock:
            self.counts[outcome] += number
        if self._progress is not None:
            self._progress(number)

    # -- circuits ------------------------------------------------------------------------------------------------
    def took(self, channel: str, answer: Answer) -> None:
        """Learn from an answer: open the circuit of a provider that is locked or down, wait where it asked to."""
        if answer.kind == "locked_out":
            redirects = (answer.status or "").startswith("3")
            why = (
                "the address is not the provider's, it redirects"
                if redirects
                else "the provider refuses our credentials"
            )
            self.open_circuit(channel, f"{why}: {answer.detail or answer.status}")
        elif answer.kind in ("refused", "unknown"):
            with self._lock:
                self._refusals[channel] += 1
                many = self._refusals[channel] >= REFUSALS_IN_A_ROW
                if answer.retry_after_seconds is not None:
                    self._not_before[channel] = time.monotonic() + answer.retry_after_seconds
            if answer.retry_after_seconds is not None:
                if answer.retry_after_seconds > LONGEST_WAIT_SECONDS:
                    self.closed_channels.add(channel)
            elif many:
                self.open_circuit(channel, f"the provider is not there: {answer.detail or answer.status}")
        else:
            with self._lock:
                self._refusals[channel] = 0

    def open_circuit(self, channel: str, reason: str) -> None:
        provider = self.outlets.name_of(channel)
        with self._lock:
            if channel in self.closed_channels:
                return
            self.closed_channels.add(channel)
            self.errors.append(f"{provider}: {reason}")
        at = self.now()

        def write(connection: Any) -> None:
            switch_on(connection, f"circuit:{provider}", actor="delivery", reason=reason, at=at)
            raise_finding(
                connection,
                kind="circuit_open",
                object_kind="provider",
                object_id=provider,
                severity="error",
                message=f"sending through {provider} stopped: {reason}. Its sends stay queued.",
                at=at,
            )

        self.recorder.run(write)

    def close_circuit(self, channel: str) -> None:
        """The provider answered again."""
        self.closed_channels.discard(channel)
        provider, at = self.outlets.name_of(channel), self.now()
        self.recorder.run(lambda connection: switch_off(connection, f"circuit:{provider}", actor="delivery", at=at))

    def is_paced(self, channel: str) -> bool:
        """Whether each message has to wait for its turn at the moment."""
        return self.bucket.limits or self._not_before.get(channel, 0.0) > time.monotonic()

    def wait_turn(self, channel: str) -> None:
        """Sleep as long as the rate limit and the provider's Retry-After say."""
        pause = max(self.bucket.reserve(), self._not_before.get(channel, 0.0) - time.monotonic())
        if pause > 0:
            self.stopping.wait(min(pause, LONGEST_WAIT_SECONDS))

    # -- when there is nothing to claim ----------------------------------------------------------------------------
    def wait_for_more(self, deadline: float, channels: Collection[str] | None = None) -> bool:
        """Sleep until the next refused message may be tried again; False where none is near or time is up."""
        with reading(self.engine) as connection:
            soonest = connection.scalar(select(func.min(sends.c.next_attempt_at)).where(self._due(channels)))
        if soonest is None or self.stopping.is_set():
            return False
        pause = (soonest - datetime.now(UTC)).total_seconds() + 0.005
        if time.monotonic() + pause > deadline:
            return False
        self.stopping.wait(max(pause, 0.005))
        return True

    def _due(self, channels: Collection[str] | None) -> Any:
        conditions = [sends.c.status == "queued", sends.c.next_attempt_at.is_not(None)]
        if channels is not None:
            conditions.append(sends.c.channel.in_(list(channels)))
        if self.closed_channels:
            conditions.append(sends.c.channel.not_in(sorted(self.closed_channels)))
        conditions.append(~charge_comes_first(self.closed_channels))  # what nobody may claim is not waited for
        if not self.send_now:
            conditions.append(or_(sends.c.due_at <= self.now(), sends.c.send_now))
        return and_(*conditions)

    def _beat(self) -> None:
        while not self.stopping.wait(HEARTBEAT_SECONDS):
            self.recorder.post(renew_lease)

    def close(self) -> None:
        self.stopping.set()
        self.recorder.close()
        self.outlets.close()
        self.facts.close()
