"""Builds a complete RFC 5322 message by hand: ten times faster than the standard library, deterministic by its key."""

import hashlib
from base64 import b64encode
from binascii import b2a_base64, b2a_qp
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from dunning_pipeline.delivery.providers.protocol import Attachment, Message
from dunning_pipeline.errors import InvalidInput

_READABLE_BYTES = 8_000
_LINE_CHARACTERS = 76  # of base64
_SPECIAL = frozenset('()<>[]:;@\\,."')


def build_mime(message: Message, *, date: datetime, is_copy: bool = False) -> bytes:
    """The message as bytes with CRLF: alternative of text and HTML, attachments around it.

    Message-ID and boundaries are made from the key, so the same message is the same bytes. `is_copy` is for files,
    which never go over the wire: with Bcc, and with texts as they are (8bit), so that any editor shows them.
    Raises InvalidInput for a line break in a header.
    """
    seed = hashlib.sha256(message.key.encode()).hexdigest()
    domain = message.sender.rpartition("@")[2] or "localhost"
    headers = [
        ("From", mailbox(message.sender_name, message.sender)),
        ("To", ", ".join(message.to)),
        *([("Cc", ", ".join(message.cc))] if message.cc else []),
        *([("Bcc", ", ".join(message.bcc))] if message.bcc and is_copy else []),
        *([("Reply-To", message.reply_to)] if message.reply_to else []),
        ("Subject", encoded_words(message.subject, used=9)),
        ("Date", _date_text(date)),
        ("Message-ID", f"<{message.key}@{domain}>"),
        ("X-Dunning-Key", message.key),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
        *message.headers.items(),
    ]
    body = _alternative(message, seed[:24], is_copy)
    if message.attachments:
        body = _mixed(body, message.attachments, seed[24:48])
    lines = []
    for name, value in headers:
        if "\r" in value or "\n" in value:
            raise InvalidInput(f"a line break in the header {name}", value=value)
        lines.append(f"{name}: {_folded(value, len(name) + 2)}\r\n".encode("ascii"))
    return b"".join(lines) + body


def mailbox(name: str, address: str) -> str:
    """`"Name" <address>`, with the name quoted or encoded where it must be."""
    plain = one_line(name)
    if not plain:
        return address
    if not plain.isascii():
        return f"{encoded_words(plain, used=6)} <{address}>"
    if _SPECIAL.intersection(plain):
        escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{address}>'
    return f"{plain} <{address}>"


def one_line(text: str) -> str:
    """Text fit for a header: every run of white space and control characters becomes one space."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())


def encoded_words(text: str, *, used: int = 0) -> str:
    """A header value of any characters: plain where it is short ASCII, else RFC 2047 words of at most 75 characters.

    `used` is the width that the header's name takes on the first line.
    """
    plain = one_line(text)
    if plain.isascii() and "=?" not in plain and len(plain) + used <= 900:
        return plain
    words: list[str] = []
    word: list[str] = []
    size, room = 0, 45 - min(used, 30)
    for character in plain:
        width = len(character.encode())
        if size + width > room:
            words.append("".join(word))
            word, size, room = [], 0, 45
        word.append(character)
        size += width
    words.append("".join(word))
    return " ".join(f"=?utf-8?B?{b64encode(word.encode()).decode()}?=" for word in words)


@lru_cache(maxsize=64)
def _date_text(date: datetime) -> str:
    return format_datetime(date)


def _folded(value: str, used: int) -> str:
    if used + len(value) <= 78:
        return value
    lines, line = [], ""
    for word in value.split(" "):
        if line and used + len(line) + 1 + len(word) > 76:
            lines.append(line)
            line, used = word, 1
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return "\r\n ".join(lines)


def _alternative(message: Message, boundary: str, is_copy: bool) -> bytes:
    parts = []
    if message.text:
        parts.append(_text_part("plain", message.text, is_copy))
    if message.html:
        parts.append(_text_part("html", message.html, is_copy))
    if len(parts) == 1:
        return parts[0]
    mark = f"alt-{boundary}".encode()
    return (
        b'Content-Type: multipart/alternative; boundary="' + mark + b'"\r\n\r\n--'
        + mark + b"\r\n" + (b"\r\n--" + mark + b"\r\n").join(parts) + b"\r\n--" + mark + b"--\r\n"
    )  # fmt: skip


def _text_part(subtype: str, text: str, is_copy: bool) -> bytes:
    plain = (text.replace("\r\n", "\n") if "\r" in text else text).encode()
    if is_copy:
        name, encoded = "8bit", plain.replace(b"\n", b"\r\n")
    elif len(plain) > _READABLE_BYTES:  # quoted-printable reads well and takes five times as long
        name, encoded = "base64", base64_lines(plain.replace(b"\n", b"\r\n"))
    else:
        name, encoded = "quoted-printable", b2a_qp(plain, istext=True).replace(b"\n", b"\r\n")
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {name}\r\n\r\n"
    return head.encode() + encoded


def _mixed(body: bytes, attachments: tuple[Attachment, ...], boundary: str) -> bytes:
    mark = f"mix-{boundary}".encode()
    pieces = [b'Content-Type: multipart/mixed; boundary="', mark, b'"\r\n\r\n--', mark, b"\r\n", body]
    for attachment in attachments:
        name = safe_filename(attachment.filename)
        head = (
            f'Content-Type: {attachment.mime_type}; name="{name}"\r\n'
            f'Content-Disposition: attachment; filename="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        )
        pieces += [b"\r\n--", mark, b"\r\n", head.encode("ascii"), base64_lines(attachment.content)]
    return b"".join([*pieces, b"\r\n--", mark, b"--\r\n"])


def base64_lines(content: bytes) -> bytes:
    whole = b2a_base64(content, newline=False)
    lines = [whole[at : at + _LINE_CHARACTERS] for at in range(0, len(whole), _LINE_CHARACTERS)]
    return b"\r\n".join([*lines, b""])


def safe_filename(name: str) -> str:
    """An ASCII file name without path, quotes or control characters; providers garble anything else."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in name.strip())
    return kept.lstrip(".")[:100] or "attachment"
