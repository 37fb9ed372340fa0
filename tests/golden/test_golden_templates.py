"""The shipped messages, word by word: a change of words, layout or amounts shows in a golden file.

`GOLDEN=write .venv/bin/python -m pytest tests/golden` writes the files anew; look at the difference before committing.
"""

import hashlib
import io
import json
import os
from pathlib import Path

import pypdf
import pytest

from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.pdf import render_pdf
from dunning_pipeline.letters.rendering import render_email, render_sms
from dunning_pipeline.letters.samples import sample_document
from dunning_pipeline.settings.workspace import Workspace

GOLDEN = Path(__file__).parent / "templates"
WORKSPACE = Workspace(Path(__file__).parents[2])
SOURCES = list(Catalogue(WORKSPACE).sources())


def same(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{file} differs"


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: f"{s.channel}-{s.template}-{s.language}")
def test_shipped_messages_are_as_they_were_approved(source):
    version = compile_template(source)
    document = sample_document(source.root, source.template, source.language)
    name = f"{source.template}.{source.language}"
    if source.channel == "email":
        mail = render_email(version, document)
        same(f"{name}.txt", f"Subject: {mail.subject}\nPreheader: {mail.preheader}\n\n{mail.text}\n")
        if source.language in ("en", "de"):
            same(f"{name}.html", mail.html)
    elif source.channel == "sms":
        same(f"{name}.sms.txt", render_sms(version, document) + "\n")
    else:
        pdf = render_pdf(document, version=version)
        pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]
        same(f"{name}.letter.txt", "\n--- page ---\n".join(pages) + "\n")
        hashes = GOLDEN / "letters.sha256.json"
        known = json.loads(hashes.read_text()) if hashes.is_file() else {}
        if os.environ.get("GOLDEN") == "write":
            known[name] = hashlib.sha256(pdf).hexdigest()
            hashes.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        assert hashlib.sha256(pdf).hexdigest() == known[name]


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_a_statement_of_charges_alone_speaks_of_no_open_invoice(language):
    catalogue = Catalogue(WORKSPACE)
    document = sample_document(WORKSPACE.templates, "account_statement", language)
    charges = [{"type": "carried_fee", "amount": "5.00", "level": 2}, {"type": "carried_interest", "amount": "1.25"}]
    unsaid = dict.fromkeys(("invoice_number", "instalment", "level", "reference", "calculation"))
    owed = {"principal": "0.00", "credits": "0.00", "interest": "1.25", "fees": "5.00"}
    owed |= {"please_pay": "6.25", "charges": "6.25", "item_count": 0, "days_overdue": 0}
    document |= {"items": [], "credits": [], "charges": [unsaid | one for one in charges], "totals": owed}
    mail = render_email(compile_template(catalogue.find("account_statement", "email", language)), document)
    letter = compile_template(catalogue.find("account_statement", "letter", language))
    pages = pypdf.PdfReader(io.BytesIO(render_pdf(document, version=letter))).pages
    same(f"account_statement_of_charges.{language}.txt", f"Subject: {mail.subject}\n\n{mail.text}\n")
    same(f"account_statement_of_charges.{language}.letter.txt", "\n".join(page.extract_text() for page in pages) + "\n")
