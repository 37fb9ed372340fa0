"""A language that the product does not ship: what its author is told, and what its readers get."""

import re

import pytest
from typer.testing import CliRunner

from dunning_pipeline.cli.main import app
from dunning_pipeline.errors import InvalidDeclaration, NotThere
from dunning_pipeline.letters.catalogue import Catalogue, fallbacks, language_tag
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.formats import money_text
from dunning_pipeline.letters.labels import read_labels
from dunning_pipeline.letters.paper.letter_data import LETTER_LABELS, letter_data
from dunning_pipeline.letters.pdf import render_pdf
from dunning_pipeline.letters.proof.checks import check_templates
from dunning_pipeline.letters.rendering import letter_wording, render_email
from dunning_pipeline.letters.samples import sample_document
from tests.conftest import ROOT

LETTER = "== subject ==\nS\n== opening ==\nO\n== closing ==\nC\n"


@pytest.fixture
def translate(workspace):
    """translate("it", labels=…, letter=…) begins a language as a copy of the English one."""

    def write(language: str, *, labels: str | None = None, letter: str = LETTER) -> Catalogue:
        root = workspace.templates
        english = (root / "labels" / "en.yaml").read_text(encoding="utf-8")
        (root / "labels" / f"{language}.yaml").write_text(labels or english, encoding="utf-8")
        for channel in ("email", "letter"):
            (root / channel / language).mkdir()
        (root / "letter" / language / "final_reminder.j2").write_text(letter, encoding="utf-8")
        for ending in ("mjml", "subject.j2", "txt.j2"):
            text = (root / "email" / "en" / f"final_reminder.{ending}").read_text(encoding="utf-8")
            here = root / "email" / language / f"final_reminder.{ending}"
            here.write_text(text.replace('lang="en"', f'lang="{language}"'), encoding="utf-8")
        return Catalogue(workspace)

    return write


def test_a_language_without_labels_is_told_with_the_file_to_write(workspace):
    company = workspace.policies / "company.yaml"
    text = re.sub(r"^languages:.*", "languages: [en, it]", company.read_text(encoding="utf-8"), flags=re.MULTILINE)
    company.write_text(text, encoding="utf-8")
    catalogue = Catalogue(type(workspace)(workspace.root))
    [finding] = [one for one in check_templates(catalogue, names=("final_reminder",)) if one.template == "labels"]
    assert (finding.severity, finding.language) == ("warning", "it")
    assert "labels/it.yaml is missing" in finding.message and "copy labels/en.yaml" in finding.message
    with pytest.raises(NotThere, match=r"labels/it\.yaml"):
        read_labels(catalogue.root, "it")


@pytest.mark.parametrize("channel", ["email", "letter"])
def test_words_that_are_not_translated_are_one_mistake_in_the_language_file(channel, translate):
    english = (ROOT / "templates" / "labels" / "en.yaml").read_text(encoding="utf-8")
    few = english.replace("pay_by: Payable by\n", "").replace("balance: Balance\n", "balance:\n")
    catalogue = translate("it", labels=few)
    with pytest.raises(InvalidDeclaration, match="words are missing: balance, pay_by") as caught:
        compile_template(catalogue.find("final_reminder", channel, "it"))
    assert str(caught.value.file).endswith("labels/it.yaml") and "labels/en.yaml" in (caught.value.remedy or "")


def test_a_preview_of_a_letter_without_its_words_is_a_sentence(translate, workspace):
    translate("it", labels="due_date: Scadenza\n")
    (workspace.templates / "email" / "it" / "final_reminder.mjml").unlink()
    call = ["template", "preview", "final_reminder", "--language", "it", "--workspace", str(workspace.root)]
    result = CliRunner().invoke(app, call)
    assert isinstance(result.exception, InvalidDeclaration) and "words are missing" in str(result.exception)


def test_a_label_must_be_a_text(translate):
    catalogue = translate("it", labels="\ndue_date: [Scadenza]\n")
    with pytest.raises(InvalidDeclaration, match="'due_date' must be a text") as caught:
        compile_template(catalogue.find("final_reminder", "letter", "it"))
    assert (caught.value.line, caught.value.column) == (2, 1)


def test_the_labels_of_letters_are_all_that_its_data_ask_for(shipped):
    folder = ROOT / "dunning_pipeline" / "letters" / "paper"
    asked = {
        name
        for file in ("letter_data.py", "annex.py")
        for name in re.findall(r"""labels\[['"](\w+)['"]""", (folder / file).read_text(encoding="utf-8"))
    }
    assert asked <= set(LETTER_LABELS) <= set(read_labels(shipped.root, "en"))


def test_a_layout_that_asks_for_no_label_of_ours_is_shown_there(workspace, catalogue):
    layout = workspace.templates / "letter" / "letter.typ"
    lines = layout.read_text(encoding="utf-8").replace("label.draft", "label.drafft").split("\n")
    layout.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InvalidDeclaration, match="no label 'drafft'") as caught:
        compile_template(catalogue.find("final_reminder", "letter", "en"))
    assert "label.drafft" in lines[caught.value.line - 1] and caught.value.remedy == "did you mean 'draft'?"


@pytest.mark.parametrize(
    ("language", "number", "noun"),
    [("pl", 1, "faktura"), ("pl", 3, "faktury"), ("pl", 5, "faktur"), ("pl", 22, "faktury"), ("en", 3, "faktur")],
)
def test_a_noun_takes_the_form_of_its_number(language, number, noun, author, sample):
    field = '{{ totals.item_count|plural(one="faktura", few="faktury", other="faktur") }}'
    source = author("probe", f'<mjml lang="{language}"><mj-body></mj-body></mjml>', subject=field, language="en")
    document = sample("final_reminder", "en")
    compiled = compile_template(source)
    version = type(compiled)("probe", "email", language, compiled.compiled, compiled.places)
    shown = {**document, "locale": language, "totals": {**document["totals"], "item_count": number}}
    assert render_email(version, shown).subject == noun


def test_a_form_that_is_missing_is_told(author, sample):
    source = author(
        "probe", '<mjml lang="en"><mj-body></mj-body></mjml>', subject='{{ totals.item_count|plural(one="x") }}'
    )
    with pytest.raises(InvalidDeclaration, match="lacks the form 'other'") as caught:
        render_email(compile_template(source), sample("final_reminder", "en"))
    assert str(caught.value.file).endswith("probe.subject.j2") and "forms are zero, one" in str(caught.value)


def test_a_page_that_is_read_from_the_right_is_mirrored(translate):
    catalogue = translate("ar")
    document = sample_document(catalogue.root, "final_reminder", "ar")
    english, arabic = (
        render_email(compile_template(catalogue.find("final_reminder", "email", language)), document).html
        for language in ("en", "ar")
    )
    assert 'dir="rtl"' in arabic and "direction:ltr" not in arabic and 'dir="rtl"' not in english
    for side, other in (("left", "right"), ("right", "left")):
        for written in ('align="{}"', "text-align:{}"):
            assert arabic.count(written.format(side)) == english.count(written.format(other)) > 0
    assert "padding:0 8px 8px 0" in english and "padding:0 0 8px 8px" in arabic
    assert 'dir="ltr" href="tel:' in arabic  # a telephone number is read from the left by everybody


def test_a_letter_that_is_read_from_the_right_keeps_foreign_lines_in_order(translate):
    catalogue = translate("he", letter=LETTER.replace("\nO\n", "\nשלום\n"))
    document = sample_document(catalogue.root, "final_reminder", "he")
    version = compile_template(catalogue.find("final_reminder", "letter", "he"))
    labels = read_labels(catalogue.root, "he")
    data = letter_data(document, wording=letter_wording(version, document), labels=labels, logo=None, draft=False)
    assert data["lang"] == "he"
    assert "\u200e80331 München" in data["address"] and data["opening"] == [[[["שלום", False]]]]
    assert ["\u200ePhone", "\u200e" + document["company"]["phone"]] in data["reference"]
    assert money_text("-250.00", "EUR", "he_IL").count("\u200e-") == 1
    assert render_pdf(document, version=version).startswith(b"%PDF")


def test_an_untranslated_letter_beside_a_translated_email_is_said_so(translate, workspace):
    catalogue = translate("de-AT")
    (workspace.templates / "letter" / "de-AT" / "final_reminder.j2").unlink()
    company = workspace.policies / "company.yaml"
    text = re.sub(r"^languages:.*", "languages: [en, de-AT]", company.read_text(encoding="utf-8"), flags=re.MULTILINE)
    company.write_text(text, encoding="utf-8")
    catalogue = Catalogue(type(workspace)(workspace.root))
    said = {
        one.channel: one.message
        for one in check_templates(catalogue, names=("final_reminder",))
        if one.check == "translation"
    }
    assert said["letter"] == "not translated; readers get de, beside their e-mail in de-AT"
    assert said["sms"] == "not translated; readers get de"


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("it", "it"),
        ("de_AT", "de-AT"),
        ("Italian", "it"),
        (" italiano ", "it"),
        ("Deutsch", "de"),
        ("Klingon?", "Klingon?"),
    ],
)
def test_a_source_may_call_a_language_by_its_name(written, tag):
    assert language_tag(written) == tag
    assert fallbacks(written, "en")[0] == tag


@pytest.mark.parametrize("language", ["ar", "Klingon?", "xx-nonsense"])
def test_a_fallback_letter_is_laid_out_in_the_language_that_it_is_written_in(language, version, sample):
    document = sample("final_reminder", "en")
    letter = version("final_reminder", "letter", "en")
    english = render_pdf(document, version=letter)
    assert render_pdf({**document, "language": language}, version=letter) == english
