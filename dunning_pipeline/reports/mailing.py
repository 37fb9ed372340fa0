"""Mails a report to a colleague, through the way out that e-mail has: the outbox folder, SMTP or SendGrid."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from dunning_pipeline.delivery.outlets import Outlets
from dunning_pipeline.delivery.permission.contact_points import normal_email
from dunning_pipeline.delivery.providers.protocol import Attachment, Message
from dunning_pipeline.errors import Refused
from dunning_pipeline.settings.workspace import Workspace


def mail_report(
    ws: Workspace, *, to: str, subject: str, text: str, html: str, files: Sequence[Attachment], now: datetime
) -> str:
    """Hand the report to the mail provider, once; its name. The same report to the same address has the same key.

    Raises InvalidInput for what is no address, Refused where the provider does not take it.
    """
    address = normal_email(to)
    content = hashlib.sha256("\n".join([address, subject, html]).encode()).hexdigest()
    company = ws.company
    message = Message(
        key=f"report-{content[:24]}",
        channel="email",
        to=(address,),
        subject=subject,
        text=text,
        html=html,
        sender_name=company.name,
        sender=company.email_from,
        reply_to=company.email_reply_to,
        attachments=tuple(files),
    )
    outlets = Outlets(ws, now=now)
    try:
        provider = outlets.of("email")
        if provider is None:
            raise Refused("no way out is configured for e-mail", remedy="use outbox, smtp or sendgrid")
        answer = provider.send(message) if hasattr(provider, "send") else provider.send_batch([message])[0]
    finally:
        outlets.close()
    if answer.kind not in ("sent", "validated"):
        raise Refused(f"the report was not mailed: {answer.detail or answer.status or answer.kind}")
    return provider.name
