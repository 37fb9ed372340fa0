"""One worker: claims a few sends, judges, renders and checks them, and lets them leave one by one."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dunning_pipeline.delivery.judging.gate import Verdict, business_day, judge
from dunning_pipeline.delivery.judging.gate_facts import gather
from dunning_pipeline.delivery.judging.leaks import allowed_words, company_words, leaks, words_of
from dunning_pipeline.delivery.providers.protocol import Answer, BatchProvider, Message
from dunning_pipeline.delivery.rendering import document_of
from dunning_pipeline.delivery.working.claims import give_back
from dunning_pipeline.delivery.working.fallback import obstructed
from dunning_pipeline.delivery.working.outcomes import cancel, hold, leave_together, record_together
from dunning_pipeline.delivery.working.session import Session
from dunning_pipeline.errors import DunningError, NotThere
from dunning_pipeline.ledger.engine import reading

BATCH = 250  # messages that are written with one sync
AHEAD = 32  # messages claimed at once where each is a request of its own
MAX_HELD_BYTES = 64_000_000  # of attachments in rendered messages; what is beyond is left for the next claim
JUDGED_FOR_SECONDS = 3.0  # a verdict older than this, or on an older snapshot, is made anew before the request

Row = dict[str, Any]
COUNTED = {"refused": "queued", "locked_out": "queued", "validated": "held"}


class Lane:
    """One worker of a session: at most one request is in flight in it."""

    def __init__(self, session: Session, number: int) -> None:
        self._session = session
        self._ws = session.ws
        self.name = session.worker_name(number)

    def run(self, *, deadline: float) -> None:
        """Deliver until nothing is due, the session stops, or `deadline` (monotonic) passes while only waiting."""
        session = self._session
        try:
            while not session.stopping.is_set():
                rows = session.claim(self.name, BATCH if self._writes_files() else AHEAD)
                if rows:
                    self.deliver(rows)
                elif not session.wait_for_more(deadline):
                    break
        finally:
            session.recorder.run(lambda connection: give_back(connection, worker=self.name))

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
        self._session.recorder.run(lambda connection: give_back(connection, worker=self.name))

    # -- judging and rendering -------------------------------------------------------------------------------------
    def _judge(self, rows: Sequence[Row]) -> list[tuple[Row, Verdict]]:
        session, company, now = self._session, self._ws.company, self._session.now()
        with reading(session.engine) as connection:
            facts, addresses = gather(connection, session.facts, rows, now=now, company=company)
        self._loads_seen = facts.loads
        return [
            (row, judge(row, facts, now=now, company=company, send_now=session.send_now, addresses=addresses))
            for row in rows
        ]

    def _prepare(self, rows: Sequence[Row]) -> list[tuple[Row, Message]]:
        """Judge, render and check; what may not leave is written down here."""
        session = self._session
        # before looking: what is published while we look must count as unseen
        self._judged_at, self._judged_on = time.monotonic(), session.facts.stamp()
        try:
            verdicts = self._judge(rows)
        except NotThere as error:
            self._apply([(row, Verdict("hold", "facts_unpublished", detail=error.message)) for row in rows])
            return []
        self._judged_loads = self._loads_seen
        self._apply([(row, verdict) for row, verdict in verdicts if verdict.action != "go"])
        ready: list[tuple[Row, Message]] = []
        failed: list[tuple[Row, Answer, None]] = []
        with reading(self._session.engine) as connection:
            going = [row for row, verdict in verdicts if verdict.action == "go"]
            self._statements = self._session.renderer.statements_of(
                connection, {row["statement_id"] for row in going if row["statement_id"]}
            )
            held = 0
            for row in going:
                if held > MAX_HELD_BYTES:
                    break
                try:
                    statement = self._statements.get(row["statement_id"] or "")
                    message = self._with_means(row, session.renderer.message(connection, row, statement))
                    ready.append((row, message))
                    held += sum(len(one.content) for one in message.attachments)
                except (DunningError, OSError) as error:
                    failed.append((row, Answer("failed", status="not_rendered", detail=str(error)), None))
        ready, leaking = self._without_leaks(ready)
        self._record([*failed, *leaking])
        return ready

    def _with_means(self, row: Row, message: Message) -> Message:
        """A payment retry learns here, as late as possible, what it charges."""
        if row["channel"] != "payment_retry":
            return message
        day = business_day(self._session.now(), self._ws.company)
        means = self._session.facts.payment_method(row["account_key"], as_of=day)
        return replace(message, facts={**message.facts, **means})

    def _without_leaks(self, ready: list[tuple[Row, Message]]) -> tuple[Any, list[tuple[Row, Answer, None]]]:
        session, company = self._session, self._ws.company
        words, of_the_company = {}, company_words(company)
        for row, message in ready:
            statement = self._statements.get(row["statement_id"] or "")
            said = words_of(message, document_of(row, statement))
            words[row["send_key"]] = said - of_the_company - allowed_words(row, statement)
        wanted = set().union(*words.values()) if words else set()
        try:
            owners = session.facts.owners(wanted, as_of=business_day(session.now(), company))
        except NotThere:
            owners = {}
        clean, leaking = [], []
        for row, message in ready:
            found = leaks(words[row["send_key"]], owners, account_key=row["account_key"])
            if found:
                detail = f"names what belongs to another account: {', '.join(found[:5])}"
                leaking.append((row, Answer("failed", status="leak", detail=detail), None))
            else:
                clean.append((row, message))
        return clean, leaking

    # -- leaving -----------------------------------------------------------------------------------------------------
    def _write_batch(self, provider: BatchProvider, ready: list[tuple[Row, Message]]) -> None:
        if ready and self._is_stale():
            ready = self._still(ready)
        left = self._leave([row for row, _ in ready], provider.name)
        gone = [(row, message) for row, message in ready if row["send_key"] in left]
        answers = provider.send_batch([message for _, message in gone])
        self._record(
            [(row, answer, _digest(message)) for (row, message), answer in zip(gone, answers, strict=True)],
            provider=provider.name,
        )

    def _send_each(self, provider: Any, ready: list[tuple[Row, Message]]) -> None:
        session, waiting = self._session, []
        for row, message in ready:
            if session.stopping.is_set() or row["channel"] in session.closed_channels:
                break
            session.wait_turn(row["channel"])
            if self._is_stale() and not self._still([(row, message)]):
                continue
            if row["send_key"] not in self._leave([row], provider.name):
                continue
            answer = provider.send(message)
            session.took(row["channel"], answer)
            waiting.append(self._post(row, answer, message, provider.name))
        for future in waiting:
            future.result()

    def _is_stale(self) -> bool:
        old = time.monotonic() - self._judged_at > JUDGED_FOR_SECONDS
        return old or self._session.facts.stamp() != self._judged_on

    def _still(self, ready: list[tuple[Row, Message]]) -> list[tuple[Row, Message]]:
        """Judge again right before leaving."""
        verdicts = {row["send_key"]: verdict for row, verdict in self._judge([row for row, _ in ready])}
        self._judged_loads = self._loads_seen  # what is old stays old: every later message is judged again, too
        self._apply([(row, verdicts[row["send_key"]]) for row, _ in ready if verdicts[row["send_key"]].action != "go"])
        return [(row, message) for row, message in ready if verdicts[row["send_key"]].action == "go"]

    def _leave(self, rows: Sequence[Row], provider: str) -> set[str]:
        if not rows:
            return set()
        loads = self._judged_loads
        left: set[str] = self._session.recorder.together(leave_together, (rows, provider, loads)).result()
        kept_back = [row for row in rows if row["send_key"] not in left]
        if kept_back:  # stopped, paused, voided or taken over in this very moment: look again
            self._apply([(row, v) for row, v in self._judge(kept_back) if v.action != "go"])
        return left

    # -- writing down ------------------------------------------------------------------------------------------------
    def _post(self, row: Row, answer: Answer, message: Message, provider: str) -> Any:
        row = {**row, "provider": provider}
        digest, now = _digest(message), self._session.now()
        self._session.count(COUNTED.get(answer.kind, answer.kind))
        return self._session.recorder.together(record_together, (self._ws, [(row, answer, digest)], now))

    def _record(self, done: Sequence[tuple[Row, Answer, str | None]], *, provider: str | None = None) -> None:
        if not done:
            return
        named = [({**row, "provider": provider}, answer, digest) for row, answer, digest in done]
        now = self._session.now()
        self._session.recorder.together(record_together, (self._ws, named, now)).result()
        for _, answer, _ in done:
            self._session.count(COUNTED.get(answer.kind, answer.kind))

    def _apply(self, verdicts: Sequence[tuple[Row, Verdict]]) -> None:
        """Write holds and cancellations down; a stopped run stops claiming."""
        if not verdicts:
            return
        now, ws = self._session.now(), self._ws

        def write(connection: Any) -> None:
            for row, verdict in verdicts:
                if verdict.action == "hold":
                    hold(connection, row, reason=verdict.reason or "held", until=verdict.until)
                    obstructed(connection, ws, row, verdict, now=now)
                elif verdict.action == "cancel" and cancel(connection, row, reason=verdict.reason or "cancelled"):
                    obstructed(connection, ws, row, verdict, now=now)

        self._session.recorder.run(write)
        for _, verdict in verdicts:
            if verdict.action == "stop":
                self._session.stopping.set()
            else:
                self._session.count("held" if verdict.action == "hold" else "cancelled")

    def _writes_files(self) -> bool:
        return isinstance(self._session.outlets.of("email"), BatchProvider)


def _digest(message: Message) -> str:
    whole = hashlib.sha256(message.subject.encode())
    for part in (message.text.encode(), message.html.encode(), *(one.content for one in message.attachments)):
        whole.update(part)
    return whole.hexdigest()


def explain(verdict: Verdict, row: Mapping[str, Any]) -> str:
    return f"{row['send_key']}: {verdict.action} {verdict.reason or ''} {verdict.detail or ''}".strip()
