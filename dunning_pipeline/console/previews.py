"""What the debtor would see: e-mail, PDF and SMS of a statement or of a template's sample, rendered as for sending."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from dunning_pipeline.letters.catalogue import Catalogue, Channel
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.pdf import render_pdf
from dunning_pipeline.letters.rendering import render_email, render_sms
from dunning_pipeline.settings.workspace import Workspace

# a mail brings its own styles; it may load nothing and run nothing, and is framed by this console only
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
KINDS: dict[str, Channel] = {"email": "email", "text": "email", "sms": "sms", "pdf": "letter"}


def preview(
    ws: Workspace, kind: str, template: str, language: str, document: Mapping[str, Any], *, draft: bool
) -> Response:
    """The answer that shows `document` in one kind: email, text, sms or pdf. Raises NotThere or InvalidDeclaration."""
    version = compile_template(Catalogue(ws).find(template, KINDS[kind], language))
    if kind == "pdf":
        pdf = render_pdf(document, version=version, draft=draft)
        return Response(pdf, media_type="application/pdf", headers={"Content-Disposition": "inline"})
    if kind == "sms":
        return PlainTextResponse(render_sms(version, document))
    mail = render_email(version, document)
    if kind == "text":
        return PlainTextResponse(f"{mail.subject}\n\n{mail.text}")
    return HTMLResponse(mail.html, headers={"Content-Security-Policy": MAIL_POLICY})
