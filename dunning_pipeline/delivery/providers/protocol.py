"""What a provider is: takes one rendered message under our key, and says what became of it in one vocabulary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from dunning_pipeline.delivery.providers.answers import Response
    from dunning_pipeline.delivery.providers.wire import Request, Wire

Kind = Literal["sent", "refused", "locked_out", "failed", "unknown", "validated"]


@dataclass(frozen=True, slots=True)
class Attachment:
    filename: str  # ASCII
    mime_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """One rendered message. `headers` are extra ones (List-Unsubscribe …); `facts` carry amounts and tokens of a
    payment or task, never personal data for an e-mail."""

    key: str
    channel: str
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    subject: str = ""
    html: str = ""
    text: str = ""
    sender_name: str = ""
    sender: str = ""
    reply_to: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one message.

    sent: the provider took it (202, 250, 201). refused: surely not taken, may be tried later (429, 503, connection
    refused). locked_out: surely not taken, and no other message will be (401, 403). failed: surely not taken, never
    will be. unknown: it may have left. validated: a dry run (sandbox), surely not sent.
    """

    kind: Kind
    status: str | None = None  # HTTP or SMTP status, or an error's name
    detail: str | None = None  # decoded answer, shortened
    message_id: str | None = None
    retry_after_seconds: float | None = None
    suppress: str | None = None  # reason to suppress the address, such as stop_word
    declined: bool = False  # a payment that the bank declined
    address: str | None = None  # the address that `suppress` is about
    sha256: str | None = None  # of what was handed over, where the provider knows it


class Provider(Protocol):
    """A way out. `name` is recorded with each send; `fingerprint` changes when its credentials change."""

    name: str

    def send(self, message: Message) -> Answer:
        """Hand one message over, once; never retries by itself and never raises for what the other side does."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class BatchProvider(Protocol):
    """A provider that writes many at once and can tell later, by the key alone, whether it has a message.

    Such a provider never leaves a send unknown.
    """

    name: str

    def send_batch(self, messages: Sequence[Message]) -> list[Answer]: ...

    def has(self, key: str) -> bool: ...

    def close(self) -> None: ...


@runtime_checkable
class HttpProvider(Protocol):
    """A provider that takes one HTTP request per message: one worker can have many of them on their way."""

    name: str
    wire: "Wire"

    def request_of(self, message: Message) -> "Request | Answer":
        """The request that hands a message over; the Answer where it cannot be made."""
        ...

    def answer_of(self, response: "Response | Answer") -> Answer:
        """What the provider's response says."""
        ...

    def send(self, message: Message) -> Answer: ...

    def close(self) -> None: ...


def shorten(text: str | bytes | None, longest: int = 500) -> str | None:
    """An answer as it is kept in the ledger: text, without control characters, cut."""
    if text is None:
        return None
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return "".join(character if character.isprintable() else " " for character in plain[:longest]).strip() or None
