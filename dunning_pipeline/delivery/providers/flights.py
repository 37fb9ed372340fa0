"""Many requests on their way from one thread, each on a connection of its own: none waits for another's answer."""

import selectors
import ssl
import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any

from dunning_pipeline.delivery.providers.answers import Response, Unusual, plain_answer, read_answer
from dunning_pipeline.delivery.providers.protocol import Answer
from dunning_pipeline.delivery.providers.wire import Request, Wire, no_answer, request_bytes

_READ_BYTES = 1 << 16
_AGAIN = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)
Landed = list[tuple[Any, Response | Answer]]


@dataclass(slots=True)
class _Flight:
    tag: Hashable
    method: str
    connection: HTTPConnection
    url: str
    overdue_at: float  # monotonic
    unsent: memoryview
    heard: bytearray = field(default_factory=bytearray)
    sends_no_more: bool = False


class Flights:
    """Connections come from a Wire and go back to it. To be used by one thread."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._selector = selectors.DefaultSelector()
        self._landed: Landed = []
        self._none_overdue_before = 0.0  # monotonic; an earlier look can be spared
        self.aloft = 0

    def depart(self, tag: Hashable, request: Request) -> None:
        """Let a request leave; `landed` tells under its tag what came of it, however it ended."""
        connection = self._wire.connected(request.url)
        if isinstance(connection, Answer):
            self._landed.append((tag, connection))
            return
        connection.sock.setblocking(False)
        unsent = memoryview(request_bytes(connection, request))
        overdue_at = time.monotonic() + self._wire.read_seconds
        flight = _Flight(tag, request.method, connection, request.url, overdue_at, unsent)
        self._selector.register(connection.sock, selectors.EVENT_READ, flight)
        self.aloft += 1
        self._write(flight)

    def landed(self, timeout_seconds: float) -> Landed:
        """(tag, response, or the Answer where none came) of each that has ended; waits for at least one."""
        wait = 0.0 if self._landed else timeout_seconds
        for key, _ in self._selector.select(wait) if self.aloft else ():
            flight: _Flight = key.data
            self._read(flight)
            if flight.unsent and flight.connection.sock is not None:  # None where that was the end of it
                self._write(flight)
        if (now := time.monotonic()) > self._none_overdue_before:
            for key in list(self._selector.get_map().values()):
                if key.data.overdue_at < now:
                    self._fail(key.data, TimeoutError("timed out"))
            flying = [key.data.overdue_at for key in self._selector.get_map().values()]
            self._none_overdue_before = min(flying, default=now)
        landed, self._landed = self._landed, []
        return landed

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.data.connection.close()
        self._selector.close()

    # -- one flight --------------------------------------------------------------------------------------------------
    def _write(self, flight: _Flight) -> None:
        try:
            while flight.unsent:
                sent = flight.connection.sock.send(flight.unsent)
                flight.unsent = flight.unsent[sent:]
        except _AGAIN:
            self._watch(flight, selectors.EVENT_READ | selectors.EVENT_WRITE)
            return
        except BrokenPipeError:  # it answered before it had read everything (413, say): the answer may be there
            flight.unsent, flight.sends_no_more = memoryview(b""), True
        except OSError as error:
            self._fail(flight, error)
            return
        self._watch(flight, selectors.EVENT_READ)

    def _read(self, flight: _Flight) -> None:
        sock = flight.connection.sock
        try:
            some = sock.recv(_READ_BYTES)
            flight.heard += some
            while some and isinstance(sock, ssl.SSLSocket) and sock.pending():
                flight.heard += sock.recv(_READ_BYTES)
            try:
                response = plain_answer(flight.heard)
            except Unusual:
                sock.settimeout(self._wire.read_seconds)
                response = read_answer(sock, flight.method, heard=bytes(flight.heard))
            if response is None and not some:
                raise ConnectionResetError("the answer broke off")
        except _AGAIN:
            return
        except (OSError, HTTPException) as error:
            self._fail(flight, error)
            return
        if response is not None:
            self._land(flight, response, keep=bool(some) and not flight.unsent and not flight.sends_no_more)

    def _land(self, flight: _Flight, response: Response, *, keep: bool) -> None:
        self._selector.unregister(flight.connection.sock)
        self.aloft -= 1
        if keep and not response.ends_connection:
            self._wire.keep(flight.url, flight.connection)
        else:
            flight.connection.close()
        self._landed.append((flight.tag, response))

    def _fail(self, flight: _Flight, error: Exception) -> None:
        self._selector.unregister(flight.connection.sock)
        self.aloft -= 1
        flight.connection.close()
        self._landed.append((flight.tag, no_answer(error)))

    def _watch(self, flight: _Flight, events: int) -> None:
        sock = flight.connection.sock
        if self._selector.get_key(sock).events != events:
            self._selector.modify(sock, events, flight)
