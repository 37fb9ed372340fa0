"""HTTPS connections that stay open, one per request in flight: says surely whether a request began to leave."""

import os
import select
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, urlsplit

from dunning_pipeline.delivery.providers.answers import Response, read_answer
from dunning_pipeline.delivery.providers.protocol import Answer, shorten

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
Place = tuple[str, str]  # scheme, host and port


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    url: str
    body: bytes | None
    headers: Mapping[str, str]


def read_seconds() -> float:
    """How long an answer may take: DUNNING_HTTP_TIMEOUT_SECONDS, else 30."""
    return float(os.environ.get("DUNNING_HTTP_TIMEOUT_SECONDS") or READ_SECONDS)


class Wire:
    """A pool of connections for many threads; never follows a redirect and never repeats a request."""

    def __init__(self, *, ca_file: str | None = None) -> None:
        self._ca_file = ca_file
        self.read_seconds = read_seconds()
        self._idle: dict[Place, list[HTTPConnection]] = {}
        self._lock = threading.Lock()

    def request(self, request: Request) -> Response | Answer:
        """The response, or the Answer where there is none: refused where nothing can have left, unknown else."""
        connection = self.connected(request.url)
        if isinstance(connection, Answer):
            return connection
        try:
            response = _exchange(connection, request)
        except (OSError, HTTPException) as error:
            connection.close()
            return no_answer(error)
        if connection.sock is not None:  # None where the other side closes after this answer
            self.keep(request.url, connection)
        return response

    def connected(self, url: str) -> HTTPConnection | Answer:
        """An open connection of the caller's own; the Answer where there is none."""
        parts = _split(url)
        try:
            return self._taken((parts.scheme, parts.netloc)) or self._opened(parts)
        except ssl.SSLCertVerificationError as error:
            return Answer("locked_out", status="certificate", detail=shorten(str(error)))
        except (OSError, HTTPException) as error:
            return Answer("refused", status="not_connected", detail=shorten(str(error)))

    def keep(self, url: str, connection: HTTPConnection) -> None:
        """Give a connection back on which one request was answered whole."""
        parts = _split(url)
        with self._lock:
            self._idle.setdefault((parts.scheme, parts.netloc), []).append(connection)

    def close(self) -> None:
        with self._lock:
            for connections in self._idle.values():
                for connection in connections:
                    connection.close()
            self._idle.clear()

    def _taken(self, place: Place) -> HTTPConnection | None:
        """An idle connection that the other side has not closed meanwhile."""
        while True:
            with self._lock:
                waiting = self._idle.get(place)
                if not waiting:
                    return None
                connection = waiting.pop()
            # something to read before anything was asked is the other side's good-bye
            if connection.sock is not None and not _says_something(connection.sock):
                connection.sock.settimeout(self.read_seconds)
                return connection
            connection.close()

    def _opened(self, parts: SplitResult) -> HTTPConnection:
        if parts.scheme == "https":
            connection: HTTPConnection = HTTPSConnection(parts.netloc, timeout=CONNECT_SECONDS, context=self._tls)
        else:
            connection = HTTPConnection(parts.netloc, timeout=CONNECT_SECONDS)
        connection.connect()
        connection.sock.settimeout(self.read_seconds)
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made once: reading the certificate authorities takes longer than sending ten messages."""
        return ssl.create_default_context(cafile=self._ca_file)


def _says_something(sock: Any) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0.0)[0])
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))


def no_answer(error: Exception) -> Answer:
    """What is known of a request that began to leave and ended in an error."""
    return Answer("unknown", status=type(error).__name__, detail=shorten(str(error) or type(error).__name__))


def request_bytes(connection: HTTPConnection, request: Request) -> bytes:
    """A whole request, for one write (http.client would make two records and two system calls of it)."""
    parts = _split(request.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    head = _head(request.method, target, connection.host, connection.port, tuple(request.headers.items()))
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(request.body or b""), request.body or b"")


def _exchange(connection: HTTPConnection, request: Request) -> Response:
    """One request and its answer."""
    with suppress(BrokenPipeError):  # it answered before it had read everything (413, say): the answer may be there
        connection.sock.sendall(request_bytes(connection, request))
    response = read_answer(connection.sock, request.method)
    if response.ends_connection:
        connection.close()
    return response


@lru_cache(maxsize=64)
def _split(url: str) -> SplitResult:
    return urlsplit(url)


@lru_cache(maxsize=64)
def _head(method: str, target: str, host: str, port: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"{method} {target} HTTP/1.1", f"Host: {place.removesuffix(':443')}", "Accept-Encoding: identity"]
    lines += [f"{name}: {value}" for name, value in headers]
    if any(not line.isprintable() for line in lines):
        raise ValueError("a header or an address with a control character")
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
