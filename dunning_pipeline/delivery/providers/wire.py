"""HTTPS connections that stay open, one per request in flight: says surely whether a request began to leave."""

import os
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import cast
from urllib.parse import urlsplit

from urllib3.util.wait import wait_for_read

from dunning_pipeline.delivery.providers.protocol import Answer, shorten

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Response:
    """`headers` are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def read_seconds() -> float:
    """How long an answer may take: DUNNING_HTTP_TIMEOUT_SECONDS, else 30."""
    return float(os.environ.get("DUNNING_HTTP_TIMEOUT_SECONDS") or READ_SECONDS)


class Wire:
    """A pool of connections for many threads; never follows a redirect and never repeats a request."""

    def __init__(self, *, ca_file: str | None = None) -> None:
        self._ca_file = ca_file
        self._read_seconds = read_seconds()
        self._idle: dict[tuple[str, str], list[HTTPConnection]] = {}
        self._lock = threading.Lock()

    def request(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]) -> Response | Answer:
        """The response, or the Answer where there is none: refused where nothing can have left, unknown else."""
        parts = urlsplit(url)
        place = (parts.scheme, parts.netloc)
        try:
            connection = self._taken(place) or self._opened(place)
        except ssl.SSLCertVerificationError as error:
            return Answer("locked_out", status="certificate", detail=shorten(str(error)))
        except (OSError, HTTPException) as error:
            return Answer("refused", status="not_connected", detail=shorten(str(error)))
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            response = _exchange(connection, method, target, body, headers)
        except (OSError, HTTPException) as error:
            connection.close()
            return Answer("unknown", status=type(error).__name__, detail=shorten(str(error) or type(error).__name__))
        if connection.sock is not None:  # None where the other side closes after this answer
            with self._lock:
                self._idle.setdefault(place, []).append(connection)
        return response

    def close(self) -> None:
        with self._lock:
            for connections in self._idle.values():
                for connection in connections:
                    connection.close()
            self._idle.clear()

    def _taken(self, place: tuple[str, str]) -> HTTPConnection | None:
        """An idle connection that the other side has not closed meanwhile."""
        while True:
            with self._lock:
                waiting = self._idle.get(place)
                if not waiting:
                    return None
                connection = waiting.pop()
            # something to read before anything was asked is the other side's good-bye
            if connection.sock is not None and not wait_for_read(connection.sock, timeout=0.0):
                return connection
            connection.close()

    def _opened(self, place: tuple[str, str]) -> HTTPConnection:
        scheme, netloc = place
        if scheme == "https":
            connection: HTTPConnection = HTTPSConnection(netloc, timeout=CONNECT_SECONDS, context=self._tls)
        else:
            connection = HTTPConnection(netloc, timeout=CONNECT_SECONDS)
        connection.connect()
        connection.sock.settimeout(self._read_seconds)
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made once: reading the certificate authorities takes longer than sending ten messages."""
        return ssl.create_default_context(cafile=self._ca_file)


def _exchange(
    connection: HTTPConnection, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
) -> Response:
    """One request in one write (http.client would make two records and two system calls of it), and its answer."""
    head = _head(method, target, connection.host, connection.port, tuple(headers.items()))
    with suppress(BrokenPipeError):  # it answered before it had read everything (413, say): the answer may be there
        connection.sock.sendall(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body or b""), body or b""))
    response = HTTPResponse(connection.sock, method=method)
    response.begin()
    data = response.read()
    if response.will_close:
        connection.close()
    return Response(response.status, cast("Mapping[str, str]", response.headers), data)


@lru_cache(maxsize=64)
def _head(method: str, target: str, host: str, port: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"{method} {target} HTTP/1.1", f"Host: {place.removesuffix(':443')}", "Accept-Encoding: identity"]
    lines += [f"{name}: {value}" for name, value in headers]
    if any(not line.isprintable() for line in lines):
        raise ValueError("a header or an address with a control character")
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
