"""Chooses the way out per channel from the environment, and keeps its rate limit and its circuit."""

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from dunning_pipeline.delivery.providers.http import is_loopback, is_sandbox
from dunning_pipeline.delivery.providers.outbox import Outbox
from dunning_pipeline.delivery.providers.protocol import BatchProvider, Provider
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.settings.workspace import Workspace

AnyProvider = Provider | BatchProvider
# Where providers of messages are told to be elsewhere than at their own address.
_ADDRESSES = {"smtp": "DUNNING_SMTP_URL", "sendgrid": "SENDGRID_HOST", "twilio": "TWILIO_HOST"}


class Outlets:
    """The providers of one process, made when a channel is first used."""

    def __init__(self, ws: Workspace, *, now: datetime) -> None:
        self._ws = ws
        self._now = now
        self._made: dict[str, AnyProvider] = {}
        self._lock = threading.Lock()

    def of(self, channel: str) -> AnyProvider | None:
        """The provider of a channel; None where nothing is configured for it.

        Raises InvalidInput for a configuration that cannot work, and for the shipped example company's messages on
        their way out of this machine.
        """
        with self._lock:
            if channel not in self._made:
                made = self._make(channel)
                if made is None:
                    return None
                self._refuse_the_example(made.name)
                self._made[channel] = made
            return self._made[channel]

    def name_of(self, channel: str) -> str:
        provider = self.of(channel)
        return provider.name if provider is not None else "none"

    def was_written(self, provider: str, key: str) -> bool | None:
        """For recovery: whether `provider` has the message; None where it cannot tell."""
        if provider == Outbox.name:
            return Outbox(self._ws.outbox).has(key)
        if provider == "letters":
            from dunning_pipeline.delivery.providers.letters import LetterFolder

            return LetterFolder(self._ws).has(key)
        return None

    def close(self) -> None:
        for provider in self._made.values():
            provider.close()

    def _make(self, channel: str) -> AnyProvider | None:
        mail = os.environ.get("DUNNING_MAIL") or "outbox"
        if channel == "email":
            return self._mail(mail)
        if channel == "sms":
            if os.environ.get("TWILIO_ACCOUNT_SID"):
                from dunning_pipeline.delivery.providers.twilio import TwilioSms

                return TwilioSms.from_environment(self._ws)
        elif channel == "letter":
            from dunning_pipeline.delivery.providers.letters import LetterFolder

            return LetterFolder(self._ws)
        elif channel == "payment_retry":
            if os.environ.get("STRIPE_API_KEY"):
                from dunning_pipeline.delivery.providers.stripe import StripePayments

                return StripePayments.from_environment(self._ws)
            return None  # a file is no payment
        elif channel == "task" and os.environ.get("DUNNING_TASK_URL"):
            from dunning_pipeline.delivery.providers.tasks import TaskWebhook

            return TaskWebhook.from_environment()
        # rehearsals: while mail goes to the outbox, texts and tasks go there too
        return self._outbox() if mail == "outbox" else None

    def _refuse_the_example(self, provider: str) -> None:
        company = self._ws.company
        if not company.is_shipped_example or provider not in _ADDRESSES:
            return
        host = urlsplit(os.environ.get(_ADDRESSES[provider], "")).hostname
        if not is_loopback(host or "") and not (provider == "sendgrid" and is_sandbox()):
            raise InvalidInput(
                f"{provider} would send for the shipped example company, with its bank account",
                value=company.email_from,
                remedy="write your own company into policies/company.yaml, or use DUNNING_MAIL=outbox",
            )

    def _mail(self, name: str) -> AnyProvider:
        if name == "outbox":
            return self._outbox()
        if name == "smtp":
            from dunning_pipeline.delivery.providers.smtp import Smtp

            return Smtp.from_environment()
        if name == "sendgrid":
            from dunning_pipeline.delivery.providers.sendgrid import SendGrid

            return SendGrid.from_environment()
        raise InvalidInput("DUNNING_MAIL names no provider", value=name, remedy="use outbox, smtp or sendgrid")

    def _outbox(self) -> Outbox:
        return Outbox(self._ws.outbox, written_at=self._now)


class TokenBucket:
    """At most `per_second` messages on average, a second's worth at once; None = no limit."""

    def __init__(self, per_second: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._clock = clock
        self._tokens = per_second or 0.0
        self._filled_at = clock()
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls, *, shares: int = 1) -> "TokenBucket":
        """DUNNING_RATE_PER_SECOND, divided among `shares` processes."""
        text = os.environ.get("DUNNING_RATE_PER_SECOND")
        if not text:
            return cls(None)
        try:
            rate = float(text)
        except ValueError:
            rate = 0.0
        if rate <= 0:
            raise InvalidInput("DUNNING_RATE_PER_SECOND is no positive number", value=text)
        return cls(rate / shares)

    @property
    def limits(self) -> bool:
        return self._rate is not None

    def reserve(self) -> float:
        """Take one token; the seconds to wait before using it."""
        if self._rate is None:
            return 0.0
        with self._lock:
            at = self._clock()
            self._tokens = min(max(self._rate, 1.0), self._tokens + (at - self._filled_at) * self._rate)
            self._filled_at = at
            self._tokens -= 1.0
            return max(0.0, -self._tokens / self._rate)


def describe(outlets: Outlets, channels: tuple[str, ...]) -> dict[str, Any]:
    """Channel → provider name, for `doctor` and the console."""
    return {channel: outlets.name_of(channel) for channel in channels}
