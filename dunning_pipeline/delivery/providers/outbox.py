"""The default way out: a folder with one file per message and a JSON beside it, named by the key, synced per batch."""

import ctypes
import hashlib
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from dunning_pipeline.delivery.mime import build_mime
from dunning_pipeline.delivery.providers.protocol import Answer, Message


class Outbox:
    """Writes `<key>.eml` (e-mail), `.txt` (SMS), `.pdf` (letter) or nothing (task), and `<key>.json` last.

    Writing again under the same key replaces the same files, so a repetition after a crash doubles nothing, and the
    JSON's checksum tells later whether the message is there whole.
    """

    name = "outbox"

    def __init__(self, folder: Path, *, written_at: datetime | None = None) -> None:
        self.folder = folder
        self._written_at = written_at
        folder.mkdir(parents=True, exist_ok=True)

    def send_batch(self, messages: Sequence[Message]) -> list[Answer]:
        """Write all, then make them durable with one sync; only then is anything called sent.

        What cannot be written (a full disk, a folder that is gone) is refused for now; the same files come later.
        """
        names: list[str] = []
        answers = []
        for message in messages:
            try:
                written, digest = self._write(message)
            except OSError as error:
                detail = f"{self.folder} cannot be written: {error.strerror}"
                answers.append(Answer("refused", status="not_written", detail=detail))
                continue
            names += written
            answers.append(Answer("sent", status="written", message_id=message.key, sha256=digest))
        sync(self.folder, names)
        return answers

    def send(self, message: Message) -> Answer:
        return self.send_batch([message])[0]

    def has(self, key: str) -> bool:
        """True where the message was written whole."""
        try:
            told = orjson.loads((self.folder / f"{key}.json").read_bytes())
            body = told.get("file")
            if body is None:
                return True
            content = (self.folder / body).read_bytes()
        except (OSError, orjson.JSONDecodeError):
            return False
        return hashlib.sha256(content).hexdigest() == told.get("sha256")

    def close(self) -> None:
        pass

    def _write(self, message: Message) -> tuple[list[str], str | None]:
        """The files and the SHA-256 of the message's own."""
        suffix, content = self._body(message)
        beside, digest = _sidecar(message), None
        written = []
        base = f"{self.folder}/{message.key}"
        if suffix is not None:
            name = f"{base}.{suffix}"
            _write(name, content)
            written.append(name)
            digest = hashlib.sha256(content).hexdigest()
            beside |= {"file": f"{message.key}.{suffix}", "sha256": digest}
        _write(f"{base}.json", orjson.dumps(beside, default=str))
        return [*written, f"{base}.json"], digest

    def _body(self, message: Message) -> tuple[str | None, bytes]:
        if message.channel == "email":
            when = self._written_at or datetime.now(UTC)
            return "eml", build_mime(message, date=when, is_copy=True)
        if message.channel == "sms":
            return "txt", message.text.encode()
        if message.channel == "letter":
            return "pdf", message.attachments[0].content
        return None, b""


def _sidecar(message: Message) -> dict[str, Any]:
    return {
        "key": message.key,
        "channel": message.channel,
        "to": message.to,
        "cc": message.cc,
        "bcc": message.bcc,
        "subject": message.subject,
        "attachments": [one.filename for one in message.attachments],
        **({"facts": dict(message.facts)} if message.facts else {}),
    }


def _write(name: str, content: bytes) -> None:
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o644)
    try:
        rest = memoryview(content)
        while rest:  # a disk that is nearly full takes a part of it without a word
            rest = rest[os.write(handle, rest) :]
    finally:
        os.close(handle)


def sync(folder: Path, names: Sequence[str]) -> None:
    """Make files and their names durable: one syncfs of the file system on Linux, an fsync per file elsewhere."""
    if not names:
        return
    if sys.platform == "linux" and len(names) > 2:
        handle = os.open(folder, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(handle) == 0:
                return
        finally:
            os.close(handle)
    for name in names:
        handle = os.open(name, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
