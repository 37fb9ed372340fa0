"""Text messages through Twilio's official client; 201 means taken, opt-outs at the provider become suppressions."""

import os
from typing import Any
from urllib.parse import quote

from dunning_pipeline.delivery.providers.http import checked_host
from dunning_pipeline.delivery.providers.protocol import Answer, Message, shorten
from dunning_pipeline.delivery.providers.wire import read_seconds
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.settings.workspace import Workspace

OPTED_OUT = 21610
NO_NUMBER = (21211, 21214, 21217, 21614)
MAX_CHARACTERS = 1600


class TwilioSms:
    """`TWILIO_ACCOUNT_SID`, `TWILIO_AUTH_TOKEN`, and `TWILIO_FROM` (a number) or `TWILIO_MESSAGING_SERVICE_SID`."""

    name = "twilio"

    def __init__(
        self, sid: str, token: str, *, sender: dict[str, str], host: str | None = None, callback: str | None = None
    ) -> None:
        try:
            from twilio.http.http_client import TwilioHttpClient
            from twilio.rest import Client
        except ImportError:
            raise InvalidInput(
                "text messages need the twilio package", remedy="pip install 'dunning-pipeline[sms]'"
            ) from None
        self._client = Client(sid, token, http_client=TwilioHttpClient(timeout=read_seconds()))
        if host:
            self._client.api.base_url = checked_host(host, "TWILIO_HOST")
        self._sender, self._callback = sender, callback

    @classmethod
    def from_environment(cls, ws: Workspace) -> "TwilioSms":
        token = os.environ.get("TWILIO_AUTH_TOKEN", "")
        number, service = os.environ.get("TWILIO_FROM"), os.environ.get("TWILIO_MESSAGING_SERVICE_SID")
        if not token or not (number or service):
            raise InvalidInput(
                "Twilio is half configured",
                remedy="set TWILIO_AUTH_TOKEN and TWILIO_FROM (or TWILIO_MESSAGING_SERVICE_SID)",
            )
        public = ws.company.public_url
        return cls(
            os.environ["TWILIO_ACCOUNT_SID"],
            token,
            sender={"messaging_service_sid": service} if service else {"from_": number or ""},
            host=os.environ.get("TWILIO_HOST"),
            callback=f"{public.rstrip('/')}/webhooks/twilio" if public else None,
        )

    def send(self, message: Message) -> Answer:
        if len(message.text) > MAX_CHARACTERS:
            return Answer(
                "failed", status="too_long", detail=f"{len(message.text)} characters; {MAX_CHARACTERS} at most"
            )
        from twilio.base.exceptions import TwilioException, TwilioRestException

        arguments: dict[str, Any] = {"to": message.to[0], "body": message.text, **self._sender}
        if self._callback:
            arguments["status_callback"] = f"{self._callback}?key={quote(message.key)}"
        try:
            made = self._client.messages.create(**arguments)
        except TwilioRestException as error:
            return _refusal(error, message.to[0])
        except TwilioException as error:
            return Answer("unknown", status="client", detail=shorten(str(error)))
        except OSError as error:  # the family of requests' exceptions
            kind = "refused" if _never_connected(error) else "unknown"
            return Answer(kind, status=type(error).__name__, detail=shorten(str(error)))  # type: ignore[arg-type]
        return Answer("sent", status="201", message_id=made.sid)

    def close(self) -> None:
        session = getattr(self._client.http_client, "session", None)
        if session is not None:
            session.close()


def _refusal(error: Any, number: str) -> Answer:
    told: dict[str, Any] = {"status": str(error.status), "detail": shorten(f"{error.code or ''} {error.msg or ''}")}
    if error.code == OPTED_OUT:
        return Answer("failed", suppress="stop_word", address=number, **told)
    if error.code in NO_NUMBER:
        return Answer("failed", suppress="invalid", address=number, **told)
    if error.status in (401, 403):
        return Answer("locked_out", **told)
    if error.status in (429, 503) or error.code == 20429:
        return Answer("refused", **told)
    return Answer("failed" if 400 <= error.status < 500 else "unknown", **told)


def _never_connected(error: BaseException) -> bool:
    from requests.exceptions import ConnectTimeout
    from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

    if isinstance(error, ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)
