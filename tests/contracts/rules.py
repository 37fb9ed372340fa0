"""What SendGrid refuses and its OpenAPI does not say (each seen or documented); used beside the schema."""

from typing import Any

_TOP = {
    "personalizations", "from", "reply_to", "reply_to_list", "subject", "content", "attachments", "template_id",
    "headers", "categories", "custom_args", "send_at", "batch_id", "asm", "ip_pool_name", "mail_settings",
    "tracking_settings",
}  # fmt: skip
_RESERVED = {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to",
             "from", "subject", "reply-to", "cc", "bcc"}  # fmt: skip
MAX_BYTES = 30_000_000


def broken_rules(body: dict[str, Any], *, size: int) -> list[str]:
    """The rules that a mail/send body breaks; empty for a good one."""
    broken = [f"unknown field {name}" for name in body if name not in _TOP]
    if not body.get("subject") and not body.get("template_id"):
        broken.append("no subject")
    kinds = [part["type"] for part in body.get("content", [])]
    if "text/plain" in kinds and "text/html" in kinds and kinds.index("text/html") < kinds.index("text/plain"):
        broken.append("html before text")
    args = [value for who in body["personalizations"] for value in who.get("custom_args", {}).values()]
    if any(not isinstance(value, str) for value in args):
        broken.append("custom_args are strings")
    if "reply_to" in body and "reply_to_list" in body:
        broken.append("reply_to and reply_to_list")
    for who in body["personalizations"]:
        everybody = [one["email"].lower() for part in ("to", "cc", "bcc") for one in who.get(part, [])]
        if len(everybody) != len(set(everybody)):
            broken.append("the same address twice")
        if any(character in one.get("name", "") for one in who.get("to", []) for character in ";,"):
            broken.append("; or , in a name")
    if any(name.lower() in _RESERVED for name in body.get("headers", {})):
        broken.append("reserved header")
    if not body["from"]["email"].isascii():
        broken.append("from is not ASCII")
    if any(not one["filename"].isascii() for one in body.get("attachments", [])):
        broken.append("file name is not ASCII")
    if size > MAX_BYTES:
        broken.append("larger than 30 MB")
    return broken


def our_promises(body: dict[str, Any]) -> list[str]:
    """What we promise beyond their contract: no tracking, no categories, nothing of ours but the key."""
    ours = [set(who.get("custom_args", {})) for who in body["personalizations"]]
    broken = [] if ours == [{"dunning_key"}] and "custom_args" not in body else ["custom_args"]
    if body.get("categories"):
        broken.append("categories")
    tracking = body.get("tracking_settings", {})
    for kind in ("click_tracking", "open_tracking", "subscription_tracking"):
        if tracking.get(kind, {}).get("enable") is not False:
            broken.append(kind)
    return broken
