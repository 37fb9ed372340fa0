"""E-mail over SMTP: one connection kept per worker thread, STARTTLS or TLS, DKIM where a key is given."""

import os
import smtplib
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from dunning_pipeline.delivery.mime import build_mime
from dunning_pipeline.delivery.providers.http import is_loopback
from dunning_pipeline.delivery.providers.protocol import Answer, Message, shorten
from dunning_pipeline.delivery.providers.wire import CONNECT_SECONDS, read_seconds
from dunning_pipeline.errors import DunningError, InvalidInput


class Smtp:
    """`DUNNING_SMTP_URL=smtp://user:password@host:587?starttls=yes` or `smtps://…`.

    STARTTLS is required except on loopback (`?starttls=no` says otherwise). `DUNNING_DKIM_KEY` (a PEM file),
    `DUNNING_DKIM_SELECTOR` and `DUNNING_DKIM_DOMAIN` sign each message with DKIM (needs dkimpy).
    """

    name = "smtp"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise InvalidInput("DUNNING_SMTP_URL is no SMTP address", remedy="write smtp://user:password@host:587")
        options = parse_qs(parts.query)
        said = options.get("starttls", [""])[0].lower()
        self._host, self._tls = parts.hostname, parts.scheme == "smtps"
        self._port = parts.port or (465 if self._tls else 587)
        self._starttls = not self._tls and (said == "yes" or (said != "no" and not is_loopback(parts.hostname)))
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._local = threading.local()
        self._all: list[smtplib.SMTP] = []
        self._dkim = _dkim_settings()

    @classmethod
    def from_environment(cls) -> "Smtp":
        url = os.environ.get("DUNNING_SMTP_URL", "")
        if not url:
            raise InvalidInput("DUNNING_SMTP_URL is not set", remedy="set it, or use DUNNING_MAIL=outbox")
        return cls(url)

    def send(self, message: Message) -> Answer:
        try:
            content = self._signed(build_mime(message, date=datetime.now(UTC)))
        except DunningError as error:
            return Answer("failed", status="payload", detail=error.message)
        while True:
            was_kept = self._kept() is not None
            connection = self._connection()
            if isinstance(connection, Answer):
                return connection
            try:
                refused = self._envelope(connection, message)
                break
            except (smtplib.SMTPException, OSError) as error:
                self._drop()
                # nothing was handed over before DATA; servers close what was idle, or had so many messages
                if not was_kept:
                    return Answer("refused", status="disconnected", detail=shorten(str(error)))
        return refused or self._hand_over(connection, content, message)

    def _envelope(self, connection: smtplib.SMTP, message: Message) -> Answer | None:
        """MAIL and RCPT; an Answer where the server does not want the message. Raises where the connection is over."""
        code, said = connection.mail(
            message.sender, [f"size={_estimate(message)}"] if connection.has_extn("size") else []
        )
        if code == 421:
            raise smtplib.SMTPServerDisconnected(shorten(said))
        if code != 250:
            connection.rset()
            return _refusal(code, said)
        for address in (*message.to, *message.cc, *message.bcc):
            code, said = connection.rcpt(address)
            if code in (250, 251):
                continue
            if address in message.to or code < 500:
                connection.rset()
                answer = _refusal(code, said)
                hard = answer.kind == "failed" and address in message.to and code in (550, 551, 553)
                return _with(answer, suppress="invalid", address=address) if hard else answer
        return None

    def _hand_over(self, connection: smtplib.SMTP, content: bytes, message: Message) -> Answer:
        try:
            code, said = connection.data(content)
        except smtplib.SMTPDataError as error:  # DATA itself was refused
            self._drop()
            return _refusal(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            return Answer("unknown", status=type(error).__name__, detail=shorten(str(error)))
        if code == 250:
            return Answer("sent", status="250", message_id=message.key, detail=None)
        return _refusal(code, said)

    # -- connection ------------------------------------------------------------------------------------------------
    def _connection(self) -> "smtplib.SMTP | Answer":
        if (known := self._kept()) is not None:
            return known
        try:
            fresh = self._connect()
        except smtplib.SMTPAuthenticationError as error:
            return Answer("locked_out", status=str(error.smtp_code), detail=shorten(error.smtp_error))
        except ssl.SSLCertVerificationError as error:
            return Answer("locked_out", status="certificate", detail=shorten(str(error)))
        except smtplib.SMTPNotSupportedError as error:
            return Answer("locked_out", status="not_supported", detail=shorten(str(error)))
        except (smtplib.SMTPException, OSError) as error:
            return Answer("refused", status="not_connected", detail=shorten(str(error)))
        self._local.connection = fresh
        self._all.append(fresh)
        return fresh

    def _kept(self) -> smtplib.SMTP | None:
        known: smtplib.SMTP | None = getattr(self._local, "connection", None)
        return known if known is not None and known.sock is not None else None

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._tls:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, timeout=CONNECT_SECONDS, context=context
            )
        else:
            connection = smtplib.SMTP(self._host, self._port, timeout=CONNECT_SECONDS)
        if connection.sock is not None:
            connection.sock.settimeout(read_seconds())
        connection.ehlo()
        if self._starttls:
            connection.starttls(context=context)
            connection.ehlo()
        if self._login is not None:
            connection.login(*self._login)
        return connection

    def _drop(self) -> None:
        known = getattr(self._local, "connection", None)
        if known is not None:
            known.close()
            self._local.connection = None

    def close(self) -> None:
        for connection in self._all:
            try:
                if connection.sock is not None:
                    connection.quit()
            except (smtplib.SMTPException, OSError):
                connection.close()
        self._all.clear()

    def _signed(self, content: bytes) -> bytes:
        if self._dkim is None:
            return content
        import dkim

        selector, domain, key = self._dkim
        headers = [b"from", b"to", b"subject", b"date", b"message-id", b"list-unsubscribe", b"list-unsubscribe-post"]
        return dkim.sign(content, selector, domain, key, include_headers=headers) + content


def _dkim_settings() -> tuple[bytes, bytes, bytes] | None:
    file = os.environ.get("DUNNING_DKIM_KEY")
    if not file:
        return None
    selector, domain = os.environ.get("DUNNING_DKIM_SELECTOR"), os.environ.get("DUNNING_DKIM_DOMAIN")
    if not selector or not domain:
        raise InvalidInput("DUNNING_DKIM_KEY needs DUNNING_DKIM_SELECTOR and DUNNING_DKIM_DOMAIN")
    return selector.encode(), domain.encode(), Path(file).read_bytes()


def _refusal(code: int, said: Any) -> Answer:
    told: dict[str, Any] = {"status": str(code), "detail": shorten(said)}
    if code in (530, 535, 454):
        return Answer("locked_out", **told)
    return Answer("refused" if 400 <= code < 500 or code == 421 else "failed", **told)


def _with(answer: Answer, *, suppress: str, address: str) -> Answer:
    return Answer(answer.kind, answer.status, answer.detail, suppress=suppress, address=address)


def _estimate(message: Message) -> int:
    parts = len(message.html) * 2 + len(message.text) * 2 + sum(len(a.content) * 3 // 2 for a in message.attachments)
    return parts + 4096
