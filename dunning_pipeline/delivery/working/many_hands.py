"""The worker for a provider that is asked by HTTP: one thread that has many requests on their way at once."""

import hashlib
import time
from collections.abc import Sequence
from typing import Any

from dunning_pipeline.delivery.providers.flights import Flights, Landed
from dunning_pipeline.delivery.providers.protocol import Answer, HttpProvider
from dunning_pipeline.delivery.working.lane import FIRST_AHEAD, Lane
from dunning_pipeline.delivery.working.outcomes import leave_together, record
from dunning_pipeline.delivery.working.preparing import Ready, Row
from dunning_pipeline.delivery.working.session import Session

Done = tuple[Row, Answer, str | None]
_LOOK_SECONDS = 1.0  # how often it looks up from waiting for answers
_TOGETHER_SECONDS = 0.005  # what each round writes and syncs takes about as long, for one answer or for twenty


class ManyHands(Lane):
    """As many as `hands` requests of one channel are in flight, each written down before it leaves.

    What was answered and what leaves next is written in one transaction, so one sync pays for many.
    """

    def __init__(self, session: Session, number: int, *, channel: str, provider: HttpProvider, hands: int) -> None:
        super().__init__(session, number)
        self._channel, self._provider, self._hands = channel, provider, hands
        self._aloft: dict[str, tuple[Row, str]] = {}  # with the SHA-256 of what is handed over
        self._answered: list[Done] = []
        self._ready: Ready = []
        self._more_to_claim = True

    def run(self, *, deadline: float) -> None:
        session, ahead = self._session, FIRST_AHEAD
        flights = Flights(self._provider.wire)
        try:
            while True:
                if not self._ready and self._may_go_on():
                    self._give_back_rest()
                    rows = session.claim(self.name, ahead, channels=[self._channel])
                    ahead, self._more_to_claim = self._next_ahead(ahead), bool(rows)
                    self._held.update(row["send_key"] for row in rows)
                    self._ready = self._prepare(rows) if rows else []
                    if not rows and not self._aloft and not self._answered:
                        if not session.wait_for_more(deadline, channels=[self._channel]):
                            break
                        continue
                self._round(flights)
                if not (self._aloft or self._answered or self._may_go_on()):
                    break
        finally:
            flights.close()
            self._give_back()

    def _give_back_rest(self) -> None:
        """What did not fit into memory, or was overtaken by new facts: claimed, and not on its way."""
        on_its_way = {*self._aloft, *(row["send_key"] for row, _, _ in self._answered)}
        if self._held - on_its_way:
            self._held = on_its_way
            self._give_back()

    def _may_go_on(self) -> bool:
        return not self._session.stopping.is_set() and self._channel not in self._session.closed_channels

    def _round(self, flights: Flights) -> None:
        """Let leave what there is room for, then wait for an answer where some are to come."""
        session = self._session
        if self._ready and self._may_go_on():
            room = self._hands - len(self._aloft)
            if session.is_paced(self._channel):  # what was answered must not wait for the next one's turn
                self._write_down([])
                session.wait_turn(self._channel)
                room = min(room, 1)
            if self._preparing.is_stale():
                self._ready = self._still(self._ready)
            leaving, self._ready = self._ready[:room], self._ready[room:]
            self._depart(flights, leaving)
        elif not self._may_go_on():
            self._ready = []  # given back at the end
        if not self._aloft:
            self._write_down([])
            return
        could_go_on = len(self._aloft) < self._hands and (self._ready or self._more_to_claim) and self._may_go_on()
        for key, response in flights.landed(0.0) if could_go_on else self._landed(flights):
            self._take(key, self._provider.answer_of(response))

    def _landed(self, flights: Flights) -> Landed:
        """Wait for answers; once there is one, a moment longer for those that come with it: one writing for all."""
        landed, together_until = flights.landed(_LOOK_SECONDS), time.monotonic() + _TOGETHER_SECONDS
        most = len(self._aloft) * 3 / 4  # a slow one does not hold up the others
        while landed and len(landed) < most and (rest := together_until - time.monotonic()) > 0:
            landed += flights.landed(rest)
        return landed

    def _depart(self, flights: Flights, leaving: Ready) -> None:
        requests = [(row, self._provider.request_of(message)) for row, message in leaving]
        for row, request in requests:
            if isinstance(request, Answer):
                self._ended(row, request, None)
        able = [(row, request) for row, request in requests if not isinstance(request, Answer)]
        left = self._write_down([row for row, _ in able])
        for row, request in able:
            if row["send_key"] in left:
                self._aloft[row["send_key"]] = (row, hashlib.sha256(request.body or b"").hexdigest())
                flights.depart(row["send_key"], request)

    def _take(self, key: Any, answer: Answer) -> None:
        row, digest = self._aloft.pop(key)
        self._session.took(self._channel, answer)
        self._ended(row, answer, digest)

    def _ended(self, row: Row, answer: Answer, digest: str | None) -> None:
        self._answered.append(({**row, "provider": self._provider.name}, answer, digest))

    def _write_down(self, leaving: Sequence[Row]) -> set[str]:
        """What was answered, and that these leave: the keys that may."""
        if not leaving and not self._answered:
            return set()
        done, self._answered = self._answered, []
        asked = (leaving, self._provider.name, self._preparing.judged_loads)
        ws, now = self._ws, self._session.now()

        def write(connection: Any) -> set[str]:
            if done:
                record(connection, ws, done, now=now)
            return leave_together(connection, [asked])[0] if leaving else set()

        left: set[str] = self._session.recorder.run(write)
        for row, answer, _ in done:
            self._came_to_an_end(row, answer)
        self._kept_back([row for row in leaving if row["send_key"] not in left])
        return left
