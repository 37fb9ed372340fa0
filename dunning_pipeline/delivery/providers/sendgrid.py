"""E-mail through SendGrid: payloads by the official client, over connections that stay open; 202 alone means taken."""

import os
from base64 import b64encode
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import orjson

from dunning_pipeline.delivery.providers.http import checked_host, classify
from dunning_pipeline.delivery.providers.protocol import Answer, Message, shorten
from dunning_pipeline.delivery.providers.wire import Wire
from dunning_pipeline.errors import InvalidInput

PUBLIC_HOST = "https://api.sendgrid.com"
KEY = "dunning_key"


class SendGrid:
    """One personalisation per request, because each message has its own attachments. No tracking, no categories, and
    nothing of ours but the key in `custom_args`: SendGrid keeps those for long."""

    name = "sendgrid"

    def __init__(
        self, api_key: str, *, host: str = PUBLIC_HOST, sandbox: bool = False, ca_file: str | None = None
    ) -> None:
        from sendgrid import SendGridAPIClient

        client = SendGridAPIClient(api_key, host=checked_host(host, "SENDGRID_HOST"))
        self._url = client.client.mail.send._build_url({})
        self._messages_url = client.client.messages._build_url({})
        self._headers = {**client._default_headers, "Content-Type": "application/json"}
        self._wire = Wire(ca_file=ca_file)
        self._sandbox = sandbox

    @classmethod
    def from_environment(cls) -> "SendGrid":
        """SENDGRID_API_KEY and SENDGRID_HOST; SENDGRID_SANDBOX=1 validates only. Raises InvalidInput without a key."""
        key = os.environ.get("SENDGRID_API_KEY", "").strip()
        if not key:
            raise InvalidInput("SENDGRID_API_KEY is not set", remedy="set it, or use DUNNING_MAIL=outbox")
        return cls(
            key,
            host=os.environ.get("SENDGRID_HOST") or PUBLIC_HOST,
            sandbox=os.environ.get("SENDGRID_SANDBOX", "") in ("1", "true", "yes"),
            ca_file=os.environ.get("SENDGRID_CA_FILE"),
        )

    def send(self, message: Message) -> Answer:
        try:
            body = orjson.dumps(payload(message, sandbox=self._sandbox))
        except Exception as error:  # the client's helpers refuse in many families
            return Answer("failed", status="payload", detail=shorten(str(error)))
        response = self._wire.request("POST", self._url, body=body, headers=self._headers)
        if isinstance(response, Answer):
            return response
        if self._sandbox and response.status == 200:
            return Answer("validated", status="200", detail="sandbox: validated, not sent")
        return classify(
            response.status,
            response.headers,
            response.data,
            accepted=(202,),
            message_id=response.headers.get("X-Message-Id"),
        )

    def find(self, key: str) -> bool | None:
        """Whether the Email Activity API knows a message with our key; None where it does not answer."""
        query = urlencode({"query": f'unique_args["{KEY}"]="{key}"', "limit": 1})
        answer = self._wire.request("GET", f"{self._messages_url}?{query}", body=None, headers=self._headers)
        if isinstance(answer, Answer) or answer.status != 200:
            return None
        try:
            return bool(orjson.loads(answer.data).get("messages"))
        except (orjson.JSONDecodeError, AttributeError):
            return None

    def close(self) -> None:
        self._wire.close()


def payload(message: Message, *, sandbox: bool = False) -> dict[str, Any]:
    """The body of /v3/mail/send for one message."""
    from sendgrid.helpers.mail import (
        Attachment,
        Content,
        CustomArg,
        Email,
        Header,
        Mail,
        MailSettings,
        Personalization,
        SandBoxMode,
    )

    mail = Mail()
    mail.from_email = Email(message.sender, message.sender_name or None)
    mail.subject = message.subject or "-"  # the API refuses an empty one
    who = Personalization()
    for address in message.to:
        who.add_to(_email(address))
    for address in message.cc:
        who.add_cc(_email(address))
    for address in message.bcc:
        who.add_bcc(_email(address))
    # on the personalisation: SendGrid's own contract calls the one of the whole send a string
    who.add_custom_arg(CustomArg(KEY, message.key))
    mail.add_personalization(who)
    if message.reply_to:
        mail.reply_to = _email(message.reply_to)
    for kind, text in (("text/plain", message.text), ("text/html", message.html)):
        if text:
            mail.add_content(Content(kind, text))
    for one in message.attachments:
        mail.add_attachment(Attachment(b64encode(one.content).decode(), one.filename, one.mime_type, "attachment"))
    for name, value in message.headers.items():
        mail.add_header(Header(name, value))
    mail.tracking_settings = _no_tracking()
    if sandbox:
        mail.mail_settings = MailSettings()
        mail.mail_settings.sandbox_mode = SandBoxMode(True)
    return dict(mail.get())


def _email(address: str) -> Any:
    """The client's Email of a bare address; its constructor would look for a display name in it."""
    from sendgrid.helpers.mail import Email

    made = Email()
    made.email = address
    return made


@lru_cache(maxsize=1)
def _no_tracking() -> Any:
    from sendgrid.helpers.mail import ClickTracking, OpenTracking, SubscriptionTracking, TrackingSettings

    tracking = TrackingSettings()
    tracking.click_tracking = ClickTracking(False, False)
    tracking.open_tracking = OpenTracking(False)
    tracking.subscription_tracking = SubscriptionTracking(False)
    return tracking
