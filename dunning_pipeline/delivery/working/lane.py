"""One worker: claims a few sends, has them judged and rendered, and lets them leave one by one."""

import hashlib
import time
from collections.abc import Sequence
from typing import Any

from dunning_pipeline.delivery.judging.verdicts import Verdict
from dunning_pipeline.delivery.providers.protocol import Answer, BatchProvider, Message
from dunning_pipeline.delivery.working.claims import give_back
from dunning_pipeline.delivery.working.fallback import obstructed
from dunning_pipeline.delivery.working.outcomes import cancel, hold, leave_together, record_together
from dunning_pipeline.delivery.working.preparing import Preparing, Ready, Row
from dunning_pipeline.delivery.working.session import Session
from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.bulk import uncollected

BATCH = 250  # messages that are written with one sync
# Messages claimed at once where each is a request of its own: few at first, so that few are spread over all workers.
FIRST_AHEAD, MOST_AHEAD = 8, 256
LONG_PREPARING_SECONDS = 0.5  # then fewer are claimed the next time: nothing leaves meanwhile

COUNTED = {"refused": "queued", "locked_out": "queued", "validated": "held"}


class Lane:
    """One worker of a session: at most one request is in flight in it."""

    def __init__(self, session: Session, number: int, *, channels: Sequence[str] | None = None) -> None:
        self._session = session
        self._channels = channels  # None: all
        self._ws = session.ws
        self._preparing = Preparing(session)
        self._prepared_in = 0.0  # seconds, the last time
        self._held: set[str] = set()  # keys that are claimed and have not come to an end
        self.name = session.worker_name(number)

    def run(self, *, deadline: float) -> None:
        """Deliver until nothing is due, the session stops, or `deadline` (monotonic) passes while only waiting."""
        session, ahead = self._session, FIRST_AHEAD
        try:
            while not session.stopping.is_set():
                rows = session.claim(self.name, BATCH if self._writes_files() else ahead, self._channels)
                ahead = self._next_ahead(ahead)
                if rows:
                    self.deliver(rows)
                elif not session.wait_for_more(deadline, self._channels):
                    break
        finally:
            self._give_back()

    def probe(self, channel: str) -> bool:
        """Try one message of a channel whose circuit is open; True where the provider answered (or none is due)."""
        session = self._session
        session.closed_channels.discard(channel)
        rows = session.claim(self.name, 1, channels=[channel])
        if rows:
            self.deliver(rows)
        return channel not in session.closed_channels and not session._refusals[channel]

    def deliver(self, rows: Sequence[Row]) -> None:
        """Take claimed sends to their end, channel by channel."""
        self._held = {row["send_key"] for row in rows}
        for channel in dict.fromkeys(row["channel"] for row in rows):
            mine = [row for row in rows if row["channel"] == channel]
            provider = self._session.outlets.of(channel)
            if provider is None:
                nowhere = Verdict("hold", "not_configured", detail=f"no provider for {channel}")
                self._apply([(row, nowhere) for row in mine])
                continue
            ready = self._prepare(mine)
            if isinstance(provider, BatchProvider):
                self._write_batch(provider, ready)
            else:
                self._send_each(provider, ready)
        if self._held:
            self._give_back()

    def _next_ahead(self, ahead: int) -> int:
        """How many to claim the next time: twice as many while judging and rendering them is quick."""
        quick = self._prepared_in < LONG_PREPARING_SECONDS
        return min(2 * ahead, MOST_AHEAD) if quick else max(ahead // 2, FIRST_AHEAD)

    def _give_back(self) -> None:
        """Let others have what is claimed and not on its way."""
        self._session.recorder.run(lambda connection: give_back(connection, worker=self.name))

    def _prepare(self, rows: Sequence[Row]) -> Ready:
        """Judge, render and check; what may not leave is written down here."""
        began = time.monotonic()
        with uncollected():
            try:
                verdicts = self._preparing.judged(rows)
            except NotThere as error:
                self._session.errors.append(str(error))
                self._apply([(row, Verdict("hold", "facts_unpublished", detail=error.message)) for row in rows])
                return []
            self._apply([(row, verdict) for row, verdict in verdicts if verdict.action != "go"])
            ready, failed = self._preparing.rendered([row for row, verdict in verdicts if verdict.action == "go"])
        self._record(failed)
        self._prepared_in = time.monotonic() - began
        return ready

    # -- leaving -----------------------------------------------------------------------------------------------------
    def _write_batch(self, provider: BatchProvider, ready: Ready) -> None:
        if ready and self._preparing.is_stale():
            ready = self._still(ready)
        left = self._leave([row for row, _ in ready], provider.name)
        gone = [(row, message) for row, message in ready if row["send_key"] in left]
        answers = provider.send_batch([message for _, message in gone])
        for answer in answers:
            self._session.took(gone[0][0]["channel"], answer)
        self._record(
            [(row, one, one.sha256 or digest_of(message)) for (row, message), one in zip(gone, answers, strict=True)],
            provider=provider.name,
        )

    def _send_each(self, provider: Any, ready: Ready) -> None:
        session, waiting = self._session, []
        while ready and not session.stopping.is_set() and ready[0][0]["channel"] not in session.closed_channels:
            session.wait_turn(ready[0][0]["channel"])
            if self._preparing.is_stale() and not (ready := self._still(ready)):
                break
            row, message = ready.pop(0)
            if row["send_key"] not in self._leave([row], provider.name):
                continue
            answer = provider.send(message)
            session.took(row["channel"], answer)
            waiting.append(self._post(row, answer, message, provider.name))
        for future in waiting:
            future.result()

    def _still(self, ready: Ready) -> Ready:
        """Judge all that is left again, right before it leaves."""
        verdicts = self._preparing.judged([row for row, _ in ready])
        self._apply([(row, verdict) for row, verdict in verdicts if verdict.action != "go"])
        return [one for one, (_, verdict) in zip(ready, verdicts, strict=True) if verdict.action == "go"]

    def _leave(self, rows: Sequence[Row], provider: str) -> set[str]:
        if not rows:
            return set()
        asked = (rows, provider, self._preparing.judged_loads)
        left: set[str] = self._session.recorder.together(leave_together, asked).result()
        self._kept_back([row for row in rows if row["send_key"] not in left])
        return left

    def _kept_back(self, rows: Sequence[Row]) -> None:
        """Stopped, paused, voided, overtaken by new facts in this very moment: look again, at all."""
        if rows:
            self._preparing.expire()
            self._apply([(row, v) for row, v in self._preparing.looked_at(rows) if v.action != "go"])

    # -- writing down ------------------------------------------------------------------------------------------------
    def _post(self, row: Row, answer: Answer, message: Message, provider: str) -> Any:
        row = {**row, "provider": provider}
        digest, now = digest_of(message), self._session.now()
        self._came_to_an_end(row, answer)
        return self._session.recorder.together(record_together, (self._ws, [(row, answer, digest)], now))

    def _record(self, done: Sequence[tuple[Row, Answer, str | None]], *, provider: str | None = None) -> None:
        if not done:
            return
        named = [({**row, "provider": provider}, answer, digest) for row, answer, digest in done]
        now = self._session.now()
        self._session.recorder.together(record_together, (self._ws, named, now)).result()
        for row, answer, _ in done:
            self._came_to_an_end(row, answer)

    def _came_to_an_end(self, row: Row, answer: Answer) -> None:
        self._held.discard(row["send_key"])
        self._session.count(COUNTED.get(answer.kind, answer.kind))

    def _apply(self, verdicts: Sequence[tuple[Row, Verdict]]) -> None:
        """Write holds and cancellations down; a stopped run stops claiming."""
        if not verdicts:
            return
        now, ws = self._session.now(), self._ws

        def write(connection: Any) -> None:
            for row, verdict in verdicts:
                if verdict.action == "hold":
                    hold(connection, row, reason=verdict.reason or "held", until=verdict.until, at=now)
                    obstructed(connection, ws, row, verdict, now=now)
                elif verdict.action == "cancel" and cancel(
                    connection, row, reason=verdict.reason or "cancelled", at=now
                ):
                    obstructed(connection, ws, row, verdict, now=now)

        self._session.recorder.run(write)
        for row, verdict in verdicts:
            if verdict.action == "stop":
                self._session.stopping.set()
            else:
                self._held.discard(row["send_key"])
                self._session.count("held" if verdict.action == "hold" else "cancelled")

    def _writes_files(self) -> bool:
        return isinstance(self._session.outlets.of("email"), BatchProvider)


def digest_of(message: Message) -> str:
    whole = hashlib.sha256(message.subject.encode())
    for part in (message.text.encode(), message.html.encode(), *(one.content for one in message.attachments)):
        whole.update(part)
    return whole.hexdigest()
