"""SMTP between companies: STARTTLS before anything is said, no message without a trusted certificate, DKIM."""

import base64
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dkim
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from dunning_pipeline.delivery.working.worker import deliver
from tests.delivery.desk import NOW, Desk
from tests.delivery.test_providers import Mailbox, free_port

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of 127.0.0.1, its key in the same file."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, KEY.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(KEY, SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    private = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return file


Serve = Callable[..., Mailbox]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a mail server on loopback, with STARTTLS where a certificate is given, and leads the delivery to it."""
    with ExitStack() as running:

        def start(
            certificate: Path | None = None, *, options: str = "", login: str = "", authenticator: Any = None
        ) -> Mailbox:
            handler, port = Mailbox(), free_port()
            tls: dict[str, Any] = {"authenticator": authenticator, "auth_required": authenticator is not None}
            if certificate is not None:
                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                context.load_cert_chain(certificate)
                tls |= {"tls_context": context, "require_starttls": True}
            controller = Controller(handler, hostname="127.0.0.1", port=port, **tls)
            controller.start()
            running.callback(controller.stop)
            monkeypatch.setenv("DUNNING_MAIL", "smtp")
            monkeypatch.setenv("DUNNING_SMTP_URL", f"smtp://{login}127.0.0.1:{port}{options}")
            return handler

        yield start


def test_starttls_comes_before_the_message(
    desk: Desk, serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    mailbox = serve(certificate, options="?starttls=yes")
    desk.message("acme")
    assert deliver(desk.ws, now=NOW)["sent"] == 1
    assert len(mailbox.taken) == 1  # the server refuses MAIL before STARTTLS


def test_an_untrusted_certificate_loses_nothing_and_sends_nothing(desk: Desk, serve: Serve, certificate: Path) -> None:
    mailbox = serve(certificate, options="?starttls=yes")
    key = desk.message("acme")
    assert "CERTIFICATE" in deliver(desk.ws, now=NOW)["errors"][0].upper()
    assert desk.send(key)["status"] == "queued"
    assert mailbox.taken == []


def test_a_server_without_starttls_gets_nothing_where_it_is_asked_for(desk: Desk, serve: Serve) -> None:
    mailbox = serve(options="?starttls=yes")
    key = desk.message("acme")
    assert deliver(desk.ws, now=NOW)["errors"]
    assert desk.send(key)["status"] == "queued"
    assert mailbox.taken == []


@pytest.mark.parametrize(("password", "outcome"), [("p%40ss", "sent"), ("wrong", "queued")])
def test_a_user_and_password_are_shown_over_tls(
    desk: Desk, serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch, password: str, outcome: str
) -> None:
    def knows(server: SMTP, session: Session, envelope: Envelope, mechanism: str, shown: LoginPassword) -> AuthResult:
        return AuthResult(success=(shown.login, shown.password) == (b"dunning", b"p@ss"), handled=False)

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    mailbox = serve(certificate, options="?starttls=yes", login=f"dunning:{password}@", authenticator=knows)
    key = desk.message("acme")
    errors = deliver(desk.ws, now=NOW).get("errors")
    assert desk.send(key)["status"] == outcome and len(mailbox.taken) == (outcome == "sent")
    assert bool(errors) == (outcome == "queued")  # a refused password closes the circuit: no message is used up


def test_dkim_signs_what_arrives(desk: Desk, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "dkim.pem"
    file.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    monkeypatch.setenv("DUNNING_DKIM_KEY", str(file))
    monkeypatch.setenv("DUNNING_DKIM_SELECTOR", "s1")
    monkeypatch.setenv("DUNNING_DKIM_DOMAIN", "northwind.example")
    mailbox = serve()
    desk.message("acme", kind="campaign")
    assert deliver(desk.ws, now=NOW)["sent"] == 1

    public = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    asked: list[bytes] = []

    def record(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return b"v=DKIM1; k=rsa; p=" + public

    [envelope] = mailbox.taken
    assert dkim.verify(envelope.content, dnsfunc=record)
    assert asked == [b"s1._domainkey.northwind.example."]
    assert not dkim.verify(envelope.content.replace(b"Subject: ", b"Subject: Not "), dnsfunc=record)
    assert not dkim.verify(envelope.content.replace(b"acme@example.com", b"evil@example.com"), dnsfunc=record)
