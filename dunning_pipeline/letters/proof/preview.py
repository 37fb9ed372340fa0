"""`dunning template preview`: one static page that shows a template as its readers would get it."""

import base64
import difflib
import html
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from dunning_pipeline.errors import DunningError, NotThere
from dunning_pipeline.letters.catalogue import CHANNELS, Catalogue, Channel
from dunning_pipeline.letters.compiling import TemplateVersion, compile_template
from dunning_pipeline.letters.pdf import render_pdf
from dunning_pipeline.letters.proof.checks import check_email
from dunning_pipeline.letters.proof.inspector import used_fields
from dunning_pipeline.letters.proof.page import PAGE, SECTION
from dunning_pipeline.letters.proof.personas import personas
from dunning_pipeline.letters.rendering import render_email, render_sms
from dunning_pipeline.letters.samples import sample_document
from dunning_pipeline.letters.sms import count_segments
from dunning_pipeline.letters.versions import published
from dunning_pipeline.settings.company import Company

_DARK = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)")


def preview_page(
    catalogue: Catalogue, template: str, language: str, *, company: Company, connection: Connection | None = None
) -> str:
    """The page as HTML, complete in itself. Raises NotThere where no channel has the template.

    A persona that a template cannot be rendered for shows the error in its place.
    """
    versions: dict[Channel, TemplateVersion] = {}
    for channel in CHANNELS:
        try:
            versions[channel] = compile_template(catalogue.find(template, channel, language))
        except NotThere:
            continue
    if not versions:
        catalogue.find(template, "email", language)
    sample = sample_document(catalogue.root, template, language)
    people = personas(sample)
    sections = [_persona(name, document, versions) for name, document in people.items()]
    others = [
        f"{channel} in {version.language}" for channel, version in versions.items() if version.language != language
    ]
    return PAGE.substitute(
        title=html.escape(f"{template} · {language}"),
        company=html.escape(" · ".join([company.name, *(f"not translated: readers get {one}" for one in others)])),
        names="".join(f'<a href="#{_id(name)}">{html.escape(name)}</a>' for name in people),
        sections="".join(sections),
        fields="".join(f"<h3>{channel}</h3>{_fields(version, sample)}" for channel, version in versions.items()),
        differences=_differences(versions, connection),
    )


def _persona(name: str, document: Mapping[str, Any], versions: Mapping[Channel, TemplateVersion]) -> str:
    return SECTION.substitute(
        id=_id(name),
        name=html.escape(name),
        email=_shown(_email, versions.get("email"), document),
        letter=_shown(_letter, versions.get("letter"), document),
        sms=_shown(_sms, versions.get("sms"), document),
    )


def _shown(show: Any, version: TemplateVersion | None, document: Mapping[str, Any]) -> str:
    if version is None:
        return '<p class="none">no template for this channel</p>'
    try:
        return str(show(version, document))
    except DunningError as error:
        return f'<pre class="error">{html.escape(str(error))}</pre>'


def _email(version: TemplateVersion, document: Mapping[str, Any]) -> str:
    mail = render_email(version, document)
    said = "".join(
        f'<li class="{severity}">{html.escape(f"{check}: {message}")}</li>'
        for severity, check, message in check_email(version, mail, dict(document))
    )
    dark = _DARK.sub("@media all", mail.html)
    frames = "".join(
        f'<figure><figcaption>{title}</figcaption><iframe sandbox title="{title}" width="{width}" height="900" '
        f'loading="lazy" srcdoc="{html.escape(body, quote=True)}"></iframe></figure>'
        for title, width, body in (("desktop", 640, mail.html), ("mobile", 375, mail.html), ("dark", 375, dark))
    )
    size = len(mail.html.encode()) / 1000
    return (
        f"<p><b>{html.escape(mail.subject)}</b> · <i>{html.escape(mail.preheader)}</i> · {size:.0f} KB</p>"
        f"<ul>{said}</ul><div class=frames>{frames}<figure><figcaption>text</figcaption>"
        f"<pre>{html.escape(mail.text)}</pre></figure></div>"
    )


def _letter(version: TemplateVersion, document: Mapping[str, Any]) -> str:
    encoded = base64.b64encode(render_pdf(document, version=version, draft=True)).decode()
    link = f"data:application/pdf;base64,{encoded}"
    return (
        f'<p><a download="letter.pdf" href="{link}">letter.pdf</a>, {len(encoded) * 3 // 4000} KB</p>'
        f'<object type="application/pdf" data="{link}" width="640" height="700">The browser shows no PDF.</object>'
    )


def _sms(version: TemplateVersion, document: Mapping[str, Any]) -> str:
    text = render_sms(version, document)
    cost = count_segments(text)
    return (
        f"<p class=sms>{html.escape(text)}</p><p>{cost.alphabet}, {cost.units} units, "
        f"{cost.segments} segment{'s' if cost.segments != 1 else ''}</p>"
    )


def _fields(version: TemplateVersion, document: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{html.escape(row['field'])}</code></td><td>{html.escape(str(row['value']))[:120]}</td>"
        f"<td>{html.escape(row['origin'])}</td><td>{html.escape(row['fallback'])}</td><td>{row['used']}</td></tr>"
        for row in used_fields(version, document)
    )
    head = "".join(
        f"<th scope=col>{name}</th>" for name in ("field", "value in the sample", "origin", "fallback", "used")
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _differences(versions: Mapping[Channel, TemplateVersion], connection: Connection | None) -> str:
    if connection is None:
        return "<p>no ledger to compare with</p>"
    return "".join(
        f"<h3>{channel}</h3>{_difference(version, published(connection, version.template, channel, version.language))}"
        for channel, version in versions.items()
    )


def _difference(now: TemplateVersion, before: TemplateVersion | None) -> str:
    if before is None:
        return "<p>never published</p>"
    if before.version == now.version:
        return f"<p>as published ({now.version[:12]})</p>"
    lines: list[str] = []
    for part in sorted({*now.compiled, *before.compiled}):
        old, new = (_lines(version.compiled.get(part)) for version in (before, now))
        lines += difflib.unified_diff(old, new, f"published {part}", f"now {part}", lineterm="", n=1)
    return f"<pre class=diff>{html.escape(chr(10).join(lines))}</pre>"


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{key}: {inner}" for key, inner in sorted(value.items())]
    return str(value or "").splitlines()


def _id(name: str) -> str:
    return name.replace(" ", "-")
