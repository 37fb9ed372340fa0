"""E-mail addresses as one comparable form: unquoted, case-folded, Gmail's dots and plus parts removed."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import re

from email_validator import EmailNotValidError, validate_email

from dunning_pipeline.identity.values.words import LONGEST_VALUE, cleaned, words

_PLAIN = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}")
_IN_ANGLES = re.compile(r"<([^<>]*)>")
_REPEATED = re.compile(r"^(.)\1*$")
_GMAIL = ("gmail.com", "googlemail.com")
_EXAMPLE_DOMAINS = ("test.com", "example.com", "none.com", "invalid.com", "noemail.com", "email.com", "nomail.com")


def normalised_email(raw: str) -> tuple[str | None, str | None, str | None, str | None]:
    """(address, domain, kind, problem): kind is `role` (a department's), `family`, `free` (a free-mail domain) or `own`; the address is None where it cannot identify.

    problem: empty, too_long, invalid, null_like.
    """
    if len(raw) > LONGEST_VALUE:
        return None, None, None, "too_long"
    text = cleaned(raw)
    if not text:
        return None, None, None, "null_like" if raw.strip() else "empty"
    local, domain = _parts(text)
    if not domain:
        return None, None, None, "invalid"
    if domain in _GMAIL:
        local, domain = local.partition("+")[0].replace(".", ""), "gmail.com"
    if _is_null_like(local, domain):
        return None, None, None, "null_like"
    kind = _mailbox(local, domain)
    return f"{local}@{domain}", domain, kind, None


def is_role(local: str) -> bool:
    """True for a mailbox that a department reads: info@, ar@, billing-emea@, buchhaltung.nord@."""
    plain = local.partition("+")[0]
    return plain in words("role_mailboxes") or re.split(r"[._-]|\d", plain, maxsplit=1)[0] in words("role_mailboxes")


def _mailbox(local: str, domain: str) -> str:
    if is_role(local):
        return "role"
    if re.split(r"[._-]", local, maxsplit=1)[0] in words("family_mailboxes"):
        return "family"
    return "free" if domain in words("free_mail_domains") else "own"


def _parts(text: str) -> tuple[str, str]:
    text = text.strip().removeprefix("mailto:")
    inner = _IN_ANGLES.search(text)
    text = (inner.group(1) if inner else text).strip(" <>;,'").casefold()
    if text.startswith('"') and '"@' in text:
        text = text[1:].replace('"@', "@", 1)
    text = text.strip('" ')
    if _PLAIN.fullmatch(text):
        local, _, domain = text.rpartition("@")
        return local, domain
    try:
        valid = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return "", ""
    return valid.local_part.casefold(), valid.ascii_domain or valid.domain


def _is_null_like(local: str, domain: str) -> bool:
    if domain in _EXAMPLE_DOMAINS and (local in words("null_like_emails") or _REPEATED.match(local)):
        return True
    return (local in words("null_like_emails") and local not in ("abc", "a", "x", "xx", "na")) or (
        bool(_REPEATED.match(local)) and bool(_REPEATED.match(domain.partition(".")[0]))
    )
