"""Edits that go wrong: each is told with file, line, column and remedy, and nothing of it can be published."""

import json
import shutil
from datetime import UTC, datetime

import pytest

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.pdf import render_pdf
from dunning_pipeline.letters.proof.checks import check_templates
from dunning_pipeline.letters.rendering import letter_wording, render_sms
from dunning_pipeline.letters.samples import sample_document
from dunning_pipeline.letters.versions import publish_all, published
from tests.letters.conftest import page

NOW = datetime(2025, 11, 3, 9, 0, tzinfo=UTC)
LETTER = "letter/en/final_reminder.j2"
SMS = "sms/en/final_reminder.j2"


@pytest.fixture
def edit(workspace):
    """edit(file below templates, text or bytes, old=…) writes a file, or replaces `old` in it."""

    def write(name: str, new: str | bytes, *, old: str | None = None) -> None:
        file = workspace.templates / name
        if old is not None:
            text = file.read_text(encoding="utf-8")
            assert old in text
            new = text.replace(old, str(new), 1)
        file.write_bytes(new if isinstance(new, bytes) else new.encode())

    return write


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "remedy"),
    [
        ("one\n{{ company.name } two", 2, 1, "unexpected '}'", "close it with }}"),
        ("one\n{{ company.name\n@two", 2, 1, "unexpected char '@'", "close it with }}"),
        ("{% if credits }x{% endif %}", 1, 1, "unexpected '}'", "close it with %}"),
        ("x {{ statement.deadline|date(“short”) }}", 1, 3, "unexpected char '“'", "write straight quotes"),
        ("{% if credits && charges %}x{% endif %}", 1, 1, "unexpected char '&'", "write `and`"),
        ("{% if credits %}{{ totals.please_pay|monny }}{% endif %}", 1, 17, "No filter named 'monny'", "'money'"),
        ("{% if credits is emptty %}{% endif %}", 1, 1, "No test named 'emptty'", ""),
        ('{% if credits %}{{ statement.date|date("mediumm") }}{% endif %}', 1, 17, "not a style of dates; write", ""),
        ('{% if credits %}{{ totals.fees|money("EURO") }}{% endif %}', 1, 17, "not an ISO 4217 currency", ""),
        ("{{ total.please_pay|money }}", 1, 1, "no merge field 'total.please_pay'", "'totals.please_pay'"),
        ("{{ label.due_date|upper }}", 1, 1, "a label stands alone", "{{ label.due_date }}"),
        ("{{ label.due_dat }}", 1, 1, "there is no label 'due_dat'", "did you mean 'due_date'?"),
    ],
)
def test_what_cannot_be_read_is_shown_where_it_begins(text, line, column, message, remedy, edit, catalogue):
    edit(SMS, text)
    with pytest.raises(InvalidDeclaration) as caught:
        compile_template(catalogue.find("final_reminder", "sms", "en"))
    error = caught.value
    assert message in str(error) and remedy in (error.remedy or "")
    assert (str(error.file).endswith(SMS), error.line, error.column) == (True, line, column)


def test_a_filter_used_wrongly_is_a_sentence(edit, catalogue):
    edit(SMS, "{% if credits %}a{% else %}b{% endif %}{{ totals.please_pay|date }}")
    source = catalogue.find("final_reminder", "sms", "en")
    with pytest.raises(InvalidDeclaration, match="not an ISO date") as caught:
        render_sms(compile_template(source), sample_document(catalogue.root, "final_reminder", "en"))
    assert "fields that hold dates" in (caught.value.remedy or "") and caught.value.column == 40


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("== subject ==\nS\n== opening ==\nO\n== opening ==\nP\n== closing ==\nC", 5, "a second part `== opening ==`"),
        ("\nHello\n== subject ==\nS\n== opening ==\nO\n== closing ==\nC", 2, "text before the first part is lost"),
    ],
)
def test_no_words_of_a_letter_are_lost(text, line, message, edit, catalogue):
    edit(LETTER, text)
    with pytest.raises(InvalidDeclaration, match=message) as caught:
        compile_template(catalogue.find("final_reminder", "letter", "en"))
    assert caught.value.line == line and caught.value.remedy


def test_a_letter_saved_by_a_windows_editor_is_the_same_letter(edit, workspace, catalogue):
    source = catalogue.find("final_reminder", "letter", "en")
    before = compile_template(source).version
    for name in (LETTER, "letter/letter.typ", "labels/en.yaml"):
        text = (workspace.templates / name).read_bytes()
        edit(name, b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert compile_template(source).version == before


def test_a_layout_that_cannot_be_read_or_is_gone_is_named(edit, workspace, catalogue):
    source = catalogue.find("final_reminder", "letter", "en")
    edit("letter/letter.typ", "// für".encode("latin-1"))
    with pytest.raises(InvalidDeclaration, match="not UTF-8") as caught:
        compile_template(source)
    assert str(caught.value.file).endswith("letter.typ")
    (workspace.templates / "letter" / "letter.typ").unlink()
    with pytest.raises(InvalidDeclaration, match="layout is missing"):
        compile_template(source)


def test_a_mistake_in_the_layout_has_line_and_column(edit, catalogue):
    edit("letter/letter.typ", "#let ink = = 3\n#let ink", old="#let ink")
    version = compile_template(catalogue.find("final_reminder", "letter", "en"))
    with pytest.raises(InvalidDeclaration, match="expected expression") as caught:
        render_pdf(sample_document(catalogue.root, "final_reminder", "en"), version=version)
    lines = version.compiled["layout"].split("\n")
    assert lines[caught.value.line - 1] == "#let ink = = 3" and caught.value.column == 11


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ('{"a": 1,\n}', (1, 8), "not JSON"),
        ("[]", (1, None), "it lacks all"),
        ('{"address": {}}', (1, None), "it lacks schema, language"),
    ],
)
def test_a_broken_sample_is_told_with_its_place(text, place, message, edit, catalogue):
    edit("samples/final_reminder.json", text)
    with pytest.raises(InvalidDeclaration, match=message) as caught:
        sample_document(catalogue.root, "final_reminder", "en")
    assert (caught.value.line, caught.value.column) == place
    found = [one for one in check_templates(catalogue, names=("final_reminder",)) if one.severity == "error"]
    assert found and all("samples/final_reminder.json" in one.message for one in found)


@pytest.mark.parametrize(
    ("name", "new", "old"),
    [
        (LETTER, "{% for n in range(9000000) %}x{% endfor %}\n\n== closing ==", "== closing =="),
        (LETTER, "{{ items.__class__ }}\n\n== closing ==", "== closing =="),
        ("letter/letter.typ", "#let ink = = 3\n#let ink", "#let ink"),
        (SMS, "{{ account.name|money }}", None),
        (SMS, " ", None),
        ("email/en/final_reminder.subject.j2", "", None),
    ],
)
def test_what_cannot_be_sent_is_not_published(name, new, old, edit, workspace, catalogue):
    edit(name, new, old=old)
    with open_ledger(workspace).begin() as connection:
        with pytest.raises(InvalidDeclaration):
            publish_all(connection, catalogue, now=NOW, by="anna", names=["final_reminder"])
        assert published(connection, "final_reminder", "letter", "en") is None


def test_files_that_nobody_reads_are_named(workspace, edit):
    root = workspace.templates
    shutil.copytree(root / "letter" / "de", root / "letter" / "de_AT")
    edit("letter/en/final_reminder (1).j2", "x")
    edit("email/en/final reminder.mjml", "x")
    edit("email/en/gone.subject.j2", "x")
    said = {
        one.message.split(": ")[0]
        for one in check_templates(Catalogue(workspace), names=("none",))
        if one.check == "name"
    }
    wanted = (
        "letter/de_AT",
        "letter/en/final_reminder (1).j2",
        "email/en/final reminder.mjml",
        "email/en/gone.subject.j2",
    )
    assert said == {str(root / name) for name in wanted}


def test_what_compiling_would_mend_is_told(author, workspace, edit):
    author("probe", page("<mj-text>\n<p>a <strong>b</p> {{ company.postal_line }}</mj-text>"), subject="one\ntwo")
    edit("letter/en/probe.j2", "== subject ==\nS\n== opening ==\nO **p\n\nq**r**\n== closing ==\nC")
    said = {one.check: one.message for one in check_templates(Catalogue(workspace), names=("probe",))}
    assert "probe.mjml:3:6: <strong> is not closed" in said["html"]
    assert "several lines become one" in said["subject"]
    assert "probe.j2:4:3: this ** has no other" in said["bold"]


def test_an_error_that_nobody_foresaw_is_still_the_authors(edit, catalogue, monkeypatch):
    edit(SMS, "{{ totals.item_count|round(precision='x') }}")
    version = compile_template(catalogue.find("final_reminder", "sms", "en"))
    document = json.loads((catalogue.root / "samples" / "final_reminder.json").read_text(encoding="utf-8"))
    with pytest.raises(InvalidDeclaration):
        render_sms(version, {**document, "language": "en", "locale": "en_GB"})
    assert letter_wording(compile_template(catalogue.find("final_reminder", "letter", "en")), document)
