"""A provider on loopback that answers as told and counts by our key; runs in a thread, or as a process of its own."""

import asyncio
import json
import socket
import struct
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def key(self) -> str:
        """Our key, wherever the provider's dialect carries it."""
        if self.body.startswith(b"{"):
            told = self.json
            args = told.get("custom_args") or (told.get("personalizations") or [{}])[0].get("custom_args") or {}
            return args.get("dunning_key") or told.get("key") or ""
        return self.headers.get("idempotency-key", "")


@dataclass
class Reply:
    """`delay` seconds first, or once `after` is set; `reset` = "before" (without reading the body) or "after" (having
    read and counted it)."""

    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    after: asyncio.Event | None = None
    reset: str | None = None


Behaviour = Callable[[Request, int], Reply]


class ProviderServer:
    """`requests` are those whose body was read, `counts` how often each key was taken (2xx)."""

    def __init__(self, behaviour: Behaviour | None = None, *, tls: Any = None) -> None:
        self.behaviour = behaviour or (lambda request, number: Reply())
        self.requests: list[Request] = []
        self.counts: Counter[str] = Counter()
        self.connections = 0
        self._seen = 0
        self._tls = tls
        self._keep = True
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "ProviderServer":
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (request := await _head(reader)) is not None:
                if not await self._one(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self._seen += 1
        number = self._seen
        early = self.behaviour(request, number) if getattr(self.behaviour, "early", False) else None
        if early is not None and early.reset == "before":
            _reset(writer)
            return False
        length = int(request.headers.get("content-length", "0"))
        request.body = await reader.readexactly(length) if length else b""
        if self._keep:
            self.requests.append(request)
        reply = early or self.behaviour(request, number)
        if 200 <= reply.status < 300 and reply.reset != "before":
            self.counts[request.key] += 1
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.after:
            await reply.after.wait()
        if reply.reset:
            _reset(writer)
            return False
        headers = {"Content-Length": str(len(reply.body)), "X-Message-Id": f"m{number}", **reply.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{lines}\r\n".encode() + reply.body)
        await writer.drain()
        return True


async def _head(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    return Request(method, path, {name.lower(): value for name, value in headers.items()})


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def first_replies(*replies: Reply, then: Reply | None = None) -> Behaviour:
    """The replies in order, then always `then` (202)."""
    last = then or Reply()
    return lambda request, number: replies[number - 1] if number <= len(replies) else last


def resets_before_reading(request: Request, number: int) -> Reply:
    return Reply(reset="before")


resets_before_reading.early = True  # type: ignore[attr-defined]


def serve_forever(delay: float) -> None:
    """As a process: prints its port; GET /counts tells how often each key was taken. Outlives every worker."""

    def behave(request: Request, number: int) -> Reply:
        if request.method == "GET":
            return Reply(status=200, body=json.dumps(server.counts).encode())
        return Reply(delay=delay)

    server = ProviderServer(behave)
    server._keep = False
    with server:
        print(server.port, flush=True)
        sys.stdin.read()


def counts_of(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/counts", timeout=10) as answer:
        counts: dict[str, int] = json.loads(answer.read())
    counts.pop("", None)
    return counts


if __name__ == "__main__":
    serve_forever(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0)
