"""Makes the message of a claimed send: template version × frozen document, with its attachments and headers."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import escape
from sqlalchemy import Connection

from dunning_pipeline.delivery.judging.verdicts import is_mandatory
from dunning_pipeline.delivery.mime import one_line, safe_filename
from dunning_pipeline.delivery.permission.contact_points import is_postal, wire_email
from dunning_pipeline.delivery.permission.preferences import preference_link, unsubscribe_headers
from dunning_pipeline.delivery.providers.protocol import Attachment, Message
from dunning_pipeline.errors import NotThere, Refused
from dunning_pipeline.ledger.bulk import read_many
from dunning_pipeline.ledger.schema import statements
from dunning_pipeline.letters.compiling import TemplateVersion
from dunning_pipeline.letters.rendering import RenderedEmail, render_email, render_sms
from dunning_pipeline.letters.versions import pinned
from dunning_pipeline.settings.company import Company
from dunning_pipeline.settings.workspace import Workspace

# SendGrid takes 30 MB, base64 included; most mailboxes less.
MAX_ATTACHMENT_BYTES = 20_000_000
PDF = "application/pdf"


class Renderer:
    """Renders for one process; templates and the company are read once."""

    def __init__(self, ws: Workspace, *, owners: Callable[[Iterable[str]], Mapping[str, set[str]]]) -> None:
        """`owners` tells which accounts have an invoice number."""
        self._ws = ws
        self._owners = owners
        self._company: Company = ws.company
        self._templates: dict[str, TemplateVersion] = {}  # a version never changes: each is read once
        self._letters: dict[tuple[str, str], TemplateVersion] = {}  # of today's files

    def statements_of(self, connection: Connection, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """The statements with their frozen content, by id."""
        if not ids:
            return {}
        rows = read_many(connection, statements, statements.columns.keys(), key="statement_id", values=list(ids))
        return {row["statement_id"]: row for row in rows}

    def message(self, connection: Connection, row: Mapping[str, Any], statement: Mapping[str, Any] | None) -> Message:
        """The message of a send. Raises a DunningError where it cannot be made; nothing has left then."""
        document = document_of(row, statement)
        build = {"email": self._email, "sms": self._sms, "letter": self._letter}.get(row["channel"])
        if build is not None:
            return build(connection, row, statement, document)
        return Message(key=row["send_key"], channel=row["channel"], to=(), facts=_task_facts(row, statement, document))

    def _email(self, connection: Connection, row: Any, statement: Any, document: Any) -> Message:
        company = self._company
        if not (company.address.street and company.address.city):
            raise Refused("the company has no postal address", remedy="complete `address` in policies/company.yaml")
        sender, reply_to, name = _sender(company, statement)
        recipients = {part: _addresses(row["recipients"].get(part)) for part in ("to", "cc", "bcc")}
        cc = [address for address in recipients["cc"] if address not in recipients["to"]]
        bcc = [address for address in recipients["bcc"] if address not in (*recipients["to"], *cc)]
        mandatory = is_mandatory(row["kind"])
        if not mandatory:
            document = {**document, "links": {"preferences": preference_link(self._ws, recipients["to"][0])}}
        made = render_email(self._template(connection, row["template_version"], row), document)
        _refuse_without_address(made, document)
        marked = "DRAFT: " if row["kind"] == "draft" else ""
        return Message(
            key=row["send_key"],
            channel="email",
            to=tuple(recipients["to"]),
            cc=tuple(cc),
            bcc=tuple(bcc),
            subject=one_line(marked + made.subject),
            html=made.html,
            text=made.text,
            sender_name=name,
            sender=sender,
            reply_to=reply_to,
            attachments=self._attachments(connection, row, statement, document),
            headers={} if mandatory else unsubscribe_headers(self._ws, recipients["to"][0]),
        )

    def _sms(self, connection: Connection, row: Any, statement: Any, document: Any) -> Message:
        text = render_sms(self._template(connection, row["template_version"], row), document)
        return Message(key=row["send_key"], channel="sms", to=tuple(row["recipients"]["to"]), text=text)

    def _letter(self, connection: Connection, row: Any, statement: Any, document: Any) -> Message:
        if not is_postal(row["recipients"].get("address")):
            raise Refused("a letter needs a postal address", value=row["send_key"])
        content = self._pdf(connection, row, statement, document)
        return Message(
            key=row["send_key"],
            channel="letter",
            to=(),
            attachments=(Attachment(_pdf_name(statement), PDF, content),),
            facts={"address": row["recipients"]["address"]},
        )

    def _pdf(self, connection: Connection, row: Any, statement: Any, document: Any) -> bytes:
        """The statement's PDF as it was filed at closing, else made again from the same content: the same bytes."""
        from dunning_pipeline.letters.pdf import render_pdf

        if statement is not None and statement["pdf_sha256"]:
            file = self._ws.statement_files / f"{statement['statement_id']}.pdf"
            if file.is_file():
                content = file.read_bytes()
                if hashlib.sha256(content).hexdigest() == statement["pdf_sha256"]:
                    return content
        version = self._letter_version(connection, row, statement)
        if row["kind"] == "draft":
            return render_pdf(document, version=version, draft=True)
        return render_pdf(document, version=version)

    def _letter_version(self, connection: Connection, row: Mapping[str, Any], statement: Any) -> Any:
        """The letter that closing pinned, else the send's own, else that of today's files."""
        closed_with = (statement or {}).get("letter_version")
        if closed_with:
            return self._template(connection, closed_with, row)
        if row["channel"] == "letter":
            return self._template(connection, row["template_version"], row)
        from dunning_pipeline.letters.catalogue import Catalogue
        from dunning_pipeline.letters.compiling import compile_template

        asked = template, language = row["template"], row["language"]
        if asked not in self._letters:
            self._letters[asked] = compile_template(Catalogue(self._ws).find(template, "letter", language))
        return self._letters[asked]

    def _template(self, connection: Connection, version: str | None, row: Mapping[str, Any]) -> TemplateVersion:
        name = version or ""
        if name not in self._templates:
            try:
                self._templates[name] = pinned(connection, name)
            except NotThere:
                raise NotThere(
                    f"the {row['channel']} template {row['template']!r} of this send is not in the ledger",
                    value=version,
                    remedy="publish it with `dunning template publish` and queue the send again",
                ) from None
        return self._templates[name]

    def _attachments(self, connection: Connection, row: Any, statement: Any, document: Any) -> tuple[Attachment, ...]:
        wanted = (row["overrides"] or {}).get("attachments", True)
        if statement is None or wanted is False or wanted == []:
            return ()
        found = [Attachment(_pdf_name(statement), PDF, self._pdf(connection, row, statement, document))]
        if statement["attach_invoices"] and wanted != "statement":
            found += self._invoices(document, statement["account_key"])
        total = sum(len(one.content) for one in found)
        if total > MAX_ATTACHMENT_BYTES:
            raise Refused(
                f"attachments of {total / 1e6:.1f} MB; at most {MAX_ATTACHMENT_BYTES / 1e6:.0f} MB are sent",
                value=row["send_key"],
                remedy="send it without the invoices' PDFs",
            )
        return tuple(found)

    def _invoices(self, document: Mapping[str, Any], account_key: str) -> list[Attachment]:
        """The invoices' own PDFs, byte for byte, where they are in the inbox."""
        found = []
        for number in dict.fromkeys(item["invoice_number"] for item in document["items"]):
            file = self._invoice_file(number or "", account_key)
            if file is not None:
                if file.stat().st_size > MAX_ATTACHMENT_BYTES:
                    raise Refused(
                        f"the PDF of invoice {number} has {file.stat().st_size / 1e6:.1f} MB",
                        remedy="send the statement without the invoices' PDFs",
                    )
                found.append(Attachment(safe_filename(f"{number}.pdf"), PDF, file.read_bytes()))
        return found

    def _invoice_file(self, number: str, account_key: str) -> Path | None:
        """`inbox/invoice_pdfs/<source>/<number>.pdf`, else without the source; Refused where it may be another's."""
        name, source = f"{number}.pdf", account_key.partition(":")[0]
        if not number or Path(name).name != name:  # a number with a path inside must not reach another file
            return None
        folder = self._ws.inbox / "invoice_pdfs"
        file = next((one for one in (folder / source / name, folder / name) if one.is_file()), None)
        if file is None:
            return None
        others = {key for key in self._owners([number]).get(number, set()) if key != account_key}
        if any(file.parent == folder or key.startswith(f"{source}:") for key in others):
            raise Refused(
                f"the PDF of invoice {number} may be another account's: {min(others)} has an invoice of that number",
                remedy=f"put the PDFs of each source into inbox/invoice_pdfs/{source}/, or send it without them",
            )
        return file


def _refuse_without_address(made: RenderedEmail, document: Mapping[str, Any]) -> None:
    """Each e-mail names the sender's postal address, whatever the template."""
    address = document["company"]["address"]
    for part in (address["street"], address["city"]):
        # from the end: that is where it stands, and a page is long
        if part not in made.text or (made.html.rfind(part) < 0 and str(escape(part)) not in made.html):
            raise Refused(
                f"the e-mail does not say the company's postal address ({part})",
                remedy="include parts/footer.mjml and parts/imprint.txt.j2, or print {{ company.postal_line }}",
            )


def document_of(row: Mapping[str, Any], statement: Mapping[str, Any] | None) -> dict[str, Any]:
    """The merge document of a send, with what a person changed for this one message."""
    document = row["document"] or (statement or {}).get("content")
    if not document:
        raise NotThere("this send has no content to render", value=row["send_key"])
    said = document.get("statement") or {}
    if row["template"] and said.get("template") not in (None, row["template"]):  # a campaign chose another one
        document = {**document, "statement": {**said, "template": row["template"]}}
    changed = row["overrides"] or {}
    texts = {name: changed[name] for name in ("subject", "opening", "closing", "sms") if changed.get(name)}
    if changed.get("body"):
        texts["opening"] = changed["body"]
    return {**document, "texts": {**(document.get("texts") or {}), **texts}} if texts else document


def _sender(company: Company, statement: Mapping[str, Any] | None) -> tuple[str, str | None, str]:
    entity = company.legal_entities.get((statement or {}).get("legal_entity") or "")
    name = entity.name if entity else company.name
    address = (entity.email if entity else None) or company.email_from
    return wire_email(address), company.email_reply_to, name


def _addresses(written: Any) -> list[str]:
    return list(dict.fromkeys(wire_email(address) for address in written or ()))


def _pdf_name(statement: Mapping[str, Any] | None) -> str:
    return safe_filename(f"{(statement or {}).get('number') or 'reminder'}.pdf")


def _task_facts(row: Any, statement: Any, document: Any) -> dict[str, Any]:
    return {
        "kind": row["kind"],
        "account_key": row["account_key"],
        "amount_minor": row["amount_minor"],
        "currency": row["currency"],
        "statement_id": row["statement_id"],
        "statement_number": (statement or {}).get("number"),
        "level": (statement or {}).get("level"),
        "account_name": (statement or {}).get("account_name"),
    }
