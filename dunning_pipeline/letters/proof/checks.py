"""`dunning template check`: every template rendered with its sample and held against the rules of good mail."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from bs4 import BeautifulSoup

from dunning_pipeline.errors import DunningError, NotThere
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.letters import formats
from dunning_pipeline.letters.catalogue import Catalogue, TemplateSource
from dunning_pipeline.letters.compiling import TemplateVersion, compile_template
from dunning_pipeline.letters.labels import read_labels
from dunning_pipeline.letters.proof.contrast import low_contrasts
from dunning_pipeline.letters.proof.findings import Finding
from dunning_pipeline.letters.proof.guarded import letter_problems
from dunning_pipeline.letters.proof.support import unsupported
from dunning_pipeline.letters.proof.words import promotion_above, spam_triggers
from dunning_pipeline.letters.proof.written import check_written
from dunning_pipeline.letters.rendering import RenderedEmail, render_email, render_sms
from dunning_pipeline.letters.samples import sample_document
from dunning_pipeline.letters.sms import count_segments

SIZE_WARNING, SIZE_ERROR = 90_000, 102_000  # Gmail clips a message at 102 KB
MAX_SUBJECT, MAX_SEGMENTS = 78, 3

Said = Iterator[tuple[str, str, str]]  # severity, check, message


def check_templates(catalogue: Catalogue, *, names: tuple[str, ...] = ()) -> list[Finding]:
    """Findings over all templates (or those named), errors first; an empty list means: good to send."""
    findings = [
        Finding(source.template, source.channel, source.language, severity, check, message)  # type: ignore[arg-type]
        for source in catalogue.sources()
        if not names or source.template in names
        for severity, check, message in _check(source)
    ]
    findings += _letters(catalogue, names)
    findings += [
        Finding(
            template, channel, language, "warning", "translation", _untranslated(catalogue, template, channel, language)
        )
        for template, channel, language in catalogue.missing()
        if not names or template in names
    ]
    findings += _label_findings(catalogue)
    findings += [
        Finding("", file.relative_to(catalogue.root).parts[0], "", "warning", "name", f"{file}: {why}")
        for file, why in catalogue.strays()
    ]
    return sorted(findings, key=lambda finding: finding.severity)


def _letters(catalogue: Catalogue, names: tuple[str, ...]) -> list[Finding]:
    """Letters that compile as wording, laid out in a guarded process."""
    versions = []
    for source in catalogue.sources():
        if source.channel == "letter" and (not names or source.template in names):
            with suppress(DunningError):  # reported by _check
                version = compile_template(source)
                versions.append((version, sample_document(source.root, source.template, source.language)))
    problems = letter_problems(versions)
    return [
        Finding(version.template, "letter", version.language, "error", "letter", problem)
        for (version, _), problem in zip(versions, problems, strict=True)
        if problem
    ]


def _untranslated(catalogue: Catalogue, template: str, channel: Any, language: str) -> str:
    said = f"not translated; readers get {_instead(catalogue, template, channel, language)}"
    email = catalogue.root / "email" / language / f"{template}.mjml"
    return f"{said}, beside their e-mail in {language}" if channel == "letter" and email.is_file() else said


def _instead(catalogue: Catalogue, template: str, channel: Any, language: str) -> str:
    try:
        return catalogue.find(template, channel, language).language
    except DunningError:
        return "an error: there is no fallback either"


def _label_findings(catalogue: Catalogue) -> list[Finding]:
    known = read_labels(catalogue.root, "en")
    found = []
    for language in sorted({file.stem for file in (catalogue.root / "labels").glob("*.yaml")} | {*catalogue.languages}):
        try:
            labels = read_labels(catalogue.root, language)
        except NotThere as error:
            found.append(Finding("labels", "", language, "warning", "translation", str(error)))
            continue
        missing = sorted(set(known) - set(labels))
        if missing:
            text = f"{labels.file.name} lacks {', '.join(missing)}"
            found.append(Finding("labels", "", language, "error", "translation", text))
    return found


def _check(source: TemplateSource) -> Said:
    try:
        version = compile_template(source)
        yield from check_written(source)
        document = sample_document(source.root, source.template, source.language)
        if source.channel == "email":
            yield from check_email(version, render_email(version, document), document)
        elif source.channel == "sms":
            yield from _sms(render_sms(version, document))
    except DunningError as error:
        yield "error", "compile", str(error)


def check_email(version: TemplateVersion, mail: RenderedEmail, document: dict[str, Any]) -> Said:
    """The rules for one rendered e-mail; also used by the preview."""
    soup = BeautifulSoup(mail.html, "html.parser")
    yield from _size(mail)
    yield from _header(version, mail, soup)
    yield from _leftover(mail, document)
    yield from _links(soup)
    yield from _access(soup)
    for text, ratio in dict.fromkeys(low_contrasts(mail.html)):
        yield "error", "contrast", f"{text!r} has a contrast of {ratio}:1; at least 4.5 is readable"
    for feature, clients in unsupported(mail.html):
        yield "warning", "support", f"{feature} does not work in {', '.join(clients)}"
    address = document["company"]["address"]
    if not all(part in mail.text and part in soup.get_text() for part in (address["street"], address["city"])):
        yield "error", "address", "the company's postal address is missing in the HTML or in the text part"
    yield from _words(version, mail, document, _visible(soup))


def _size(mail: RenderedEmail) -> Said:
    size = len(mail.html.encode())
    if size > SIZE_WARNING:
        severity = "error" if size > SIZE_ERROR else "warning"
        yield severity, "size", f"{size // 1000} KB of HTML; Gmail cuts off at {SIZE_ERROR // 1000} KB"


def _header(version: TemplateVersion, mail: RenderedEmail, soup: BeautifulSoup) -> Said:
    if not mail.subject or len(mail.subject) > MAX_SUBJECT:
        yield (
            "error" if not mail.subject else "warning",
            "subject",
            f"{len(mail.subject)} characters; 1 to {MAX_SUBJECT}",
        )
    if not mail.preheader:
        yield "warning", "preheader", "there is none: add <mj-preview>"
    if not version.compiled.get("text"):
        yield "warning", "text", f"no {version.template}.txt.j2: the text part is made from the HTML"
    root = soup.html
    if root is None or str(root.get("lang", "und"))[:2] != version.language[:2]:
        yield "error", "language", f'write <mjml lang="{version.language}">: screen readers need it'
    if not soup.find("meta", attrs={"name": "color-scheme"}):
        yield "warning", "dark mode", 'no <meta name="color-scheme">: programs may invert the colors on their own'


def _leftover(mail: RenderedEmail, document: dict[str, Any]) -> Said:
    values = canonical_json(document)  # a name that is written so is nobody's mistake
    for mark in ("{{", "{%"):
        if mark not in values and any(mark in part for part in (mail.html, mail.text, mail.subject)):
            yield "error", "leftover", f"an unfilled {mark} is left in the message"


def _links(soup: BeautifulSoup) -> Said:
    for link in soup.find_all("a"):
        href = str(link.get("href") or "")
        if not href or href == "#":
            yield "error", "links", f"a link without a target: {link.get_text(strip=True)[:40]!r}"
        elif not href.startswith(("https://", "mailto:", "tel:")):
            yield "error", "links", f"{href[:60]!r} is not https"
        elif re.search(r"//(localhost|127\.|www\.example\.|example\.)", href):
            yield "warning", "links", f"{href[:60]!r} is a placeholder"


def _access(soup: BeautifulSoup) -> Said:
    for image in soup.find_all("img"):
        if image.get("alt") is None:
            yield "error", "alt", f"an image without alt text: {str(image.get('src'))[:50]}"
        if not (image.get("width") or image.get("height")):
            yield "warning", "alt", f"an image without width and height: {str(image.get('src'))[:50]}"
    for table in soup.find_all("table"):
        headed = table.find("th") is not None and table.find("table") is None
        if headed and table.get("role") == "presentation":
            yield "error", "table", "a table of figures must not have role=presentation"
        if not headed and table.find("table") is None and table.get("role") not in ("presentation", "none"):
            yield "warning", "table", "a table without <th>: give it headers, or role=presentation"
    for header in soup.find_all("th"):
        if header.get("scope") not in ("col", "row"):
            yield "error", "table", f"<th> without scope: {header.get_text(strip=True)[:40]!r}"


def _visible(soup: BeautifulSoup) -> str:
    """What a reader of the HTML sees: without the preheader, which is hidden in it."""
    hidden = re.compile(r"display:\s*none")
    texts = soup.body.strings if soup.body else ()
    return " ".join(text for text in texts if text.strip() and text.find_parent(style=hidden) is None)


def _words(version: TemplateVersion, mail: RenderedEmail, document: dict[str, Any], visible: str) -> Said:
    for trigger in spam_triggers(mail.subject, mail.text, version.language):
        yield "warning", "spam", f"filters distrust {trigger!r}"
    amount = formats.money_text(document["totals"]["please_pay"], document["currency"], document["locale"])
    above = [word for seen in (mail.text, visible) for word in promotion_above(seen, amount, version.language)]
    for word in dict.fromkeys(above):
        yield "error", "promotion", f"{word!r} stands above the notice; advertising has no place there"


def _sms(text: str) -> Said:
    cost = count_segments(text)
    if not text:
        yield "error", "sms", "the message is empty"
    if cost.segments > MAX_SEGMENTS:
        yield "warning", "sms", f"{cost.segments} segments; each is paid for"
    if cost.alphabet == "UCS-2":
        odd = "".join(sorted({letter for letter in text if count_segments(letter).alphabet == "UCS-2"}))
        yield "warning", "sms", f"{odd!r} halve the length of a segment"
