"""E-mail through SendGrid: payloads by the official client, over connections that stay open; 202 alone means taken."""

import os
from base64 import b64encode
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import orjson

from dunning_pipeline.delivery.providers.answers import Response
from dunning_pipeline.delivery.providers.http import checked_host, classify, is_sandbox
from dunning_pipeline.delivery.providers.protocol import Answer, Attachment, Message, shorten
from dunning_pipeline.delivery.providers.wire import Request, Wire
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
        self.wire = Wire(ca_file=ca_file)
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
            sandbox=is_sandbox(),
            ca_file=os.environ.get("SENDGRID_CA_FILE"),
        )

    def send(self, message: Message) -> Answer:
        request = self.request_of(message)
        return request if isinstance(request, Answer) else self.answer_of(self.wire.request(request))

    def request_of(self, message: Message) -> Request | Answer:
        try:
            body = orjson.dumps(payload(message, sandbox=self._sandbox))
        except Exception as error:  # the client's helpers refuse in many families
            return Answer("failed", status="payload", detail=shorten(str(error)))
        return Request("POST", self._url, body, self._headers)

    def answer_of(self, response: Response | Answer) -> Answer:
        if isinstance(response, Answer):
            return response
        if self._sandbox and response.status == 200:
            return Answer("validated", status="200", detail="sandbox: validated, not sent")
        message_id = response.headers.get("X-Message-Id")
        return classify(response.status, response.headers, response.data, accepted=(202,), message_id=message_id)

    def find(self, key: str) -> bool | None:
        """Whether the Email Activity API knows a message with our key; None where it does not answer."""
        query = urlencode({"query": f'unique_args["{KEY}"]="{key}"', "limit": 1})
        answer = self.wire.request(Request("GET", f"{self._messages_url}?{query}", None, self._headers))
        if isinstance(answer, Answer) or answer.status != 200:
            return None
        try:
            return bool(orjson.loads(answer.data).get("messages"))
        except (orjson.JSONDecodeError, AttributeError):
            return None

    def close(self) -> None:
        self.wire.close()


def payload(message: Message, *, sandbox: bool = False) -> dict[str, Any]:
    """The body of /v3/mail/send for one message: the client's for all of this sender and sort, with its own words.

    The client's helpers take longer than rendering; what they make of a message differs only in what is put in here.
    """
    sort = (message.sender, message.sender_name, message.reply_to, bool(message.text), bool(message.html), sandbox)
    told = {"text/plain": message.text, "text/html": message.html}
    alike = _alike(*sort)
    return {
        **alike,
        "subject": message.subject or "-",  # the API refuses an empty one
        "personalizations": [_personalization(message)],
        "content": [{**part, "value": told[part["type"]]} for part in alike["content"]],
        **({"attachments": [_attachment(one) for one in message.attachments]} if message.attachments else {}),
        **({"headers": dict(message.headers)} if message.headers else {}),
    }


@lru_cache(maxsize=64)
def _alike(
    sender: str, sender_name: str, reply_to: str | None, has_text: bool, has_html: bool, sandbox: bool
) -> dict[str, Any]:
    """What is the same in all bodies of these, made by the official client."""
    from sendgrid.helpers.mail import Content, Email, Mail, MailSettings, SandBoxMode

    mail = Mail()
    mail.from_email = Email(sender, sender_name or None)
    if reply_to:
        mail.reply_to = _email(reply_to)
    for kind, is_there in (("text/plain", has_text), ("text/html", has_html)):
        if is_there:
            mail.add_content(Content(kind, "-"))
    mail.tracking_settings = _no_tracking()
    if sandbox:
        mail.mail_settings = MailSettings()
        mail.mail_settings.sandbox_mode = SandBoxMode(True)
    return dict(mail.get())


def _personalization(message: Message) -> dict[str, Any]:
    told: dict[str, Any] = {
        part: [{"email": address} for address in addresses]
        for part, addresses in (("to", message.to), ("cc", message.cc), ("bcc", message.bcc))
        if addresses
    }
    # here, not beside it: SendGrid's own contract calls the custom_args of the whole send a string
    return {**told, "custom_args": {KEY: message.key}}


def _attachment(one: Attachment) -> dict[str, str]:
    content = b64encode(one.content).decode()
    return {"content": content, "type": one.mime_type, "filename": one.filename, "disposition": "attachment"}


def _email(address: str) -> Any:
    """The client's Email of a bare address; its constructor would look for a display name in it."""
    from sendgrid.helpers.mail import Email

    made = Email()
    made.email = address
    return made


def _no_tracking() -> Any:
    from sendgrid.helpers.mail import ClickTracking, OpenTracking, SubscriptionTracking, TrackingSettings

    tracking = TrackingSettings()
    tracking.click_tracking = ClickTracking(False, False)
    tracking.open_tracking = OpenTracking(False)
    tracking.subscription_tracking = SubscriptionTracking(False)
    return tracking
