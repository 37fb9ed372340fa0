"""Reads what a provider answers by HTTP: plain answers from the bytes that came, all others as http.client does it."""

from dataclasses import dataclass
from http.client import HTTPResponse
from io import BufferedReader, BytesIO, RawIOBase
from typing import Any

LONGEST_HEAD = 1 << 16


class Headers(dict[str, str]):
    """Kept in small letters; `get` finds them in any case."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Headers
    data: bytes

    @property
    def ends_connection(self) -> bool:
        """Whether nothing more can be asked on the connection that it came on."""
        return (self.headers.get("Connection") or "").lower() == "close"


class Unusual(Exception):
    """An answer for http.client to read: in chunks, without a length, or not the final one."""


def plain_answer(heard: bytearray) -> Response | None:
    """A whole HTTP/1.1 answer of declared length, None where it is not all there; raises Unusual for other kinds."""
    end = heard.find(b"\r\n\r\n")
    if end < 0:
        if len(heard) > LONGEST_HEAD:
            raise Unusual
        return None
    first, *lines = bytes(heard[:end]).decode("latin-1").split("\r\n")
    headers = Headers((name.strip().lower(), value.strip()) for name, _, value in (one.partition(":") for one in lines))
    status, length = first[9:12], headers.get("Content-Length") or ""
    is_plain = first.startswith("HTTP/1.1 ") and status.isdecimal() and status >= "200" and status not in ("204", "304")
    if not is_plain or not length.isdecimal() or "transfer-encoding" in headers:
        raise Unusual
    whole = end + 4 + int(length)
    if len(heard) > whole:
        headers["connection"] = "close"  # more than it announced: what follows on this connection answers nothing
    return Response(int(status), headers, bytes(heard[end + 4 : whole])) if len(heard) >= whole else None


def read_answer(sock: Any, method: str, *, heard: bytes = b"") -> Response:
    """Any answer, to its end; `heard` is what was read of it already. Raises OSError and HTTPException."""
    answer = HTTPResponse(_Replayed(heard, sock), method=method)  # type: ignore[arg-type]
    answer.begin()
    data = answer.read()
    headers = Headers((name.lower(), value) for name, value in answer.headers.items())
    if answer.will_close:
        headers["connection"] = "close"
    return Response(answer.status, headers, data)


class _Replayed(RawIOBase):
    """What was read of an answer already, then the rest from the socket; as much of a socket as HTTPResponse needs."""

    def __init__(self, heard: bytes, sock: Any) -> None:
        self._heard, self._sock = BytesIO(heard), sock

    def makefile(self, mode: str) -> BufferedReader:
        return BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._heard.readinto(buffer) or self._sock.recv_into(buffer)
