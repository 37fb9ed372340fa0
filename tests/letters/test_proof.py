"""Checks, preview, publishing and the command: what an author is told before a message reaches anybody."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.fields import AT_SENDING, IN_DIGESTS, SHAPE
from dunning_pipeline.letters.labels import read_labels
from dunning_pipeline.letters.proof.checks import check_email, check_templates
from dunning_pipeline.letters.proof.contrast import low_contrasts, ratio
from dunning_pipeline.letters.proof.inspector import used_fields
from dunning_pipeline.letters.proof.preview import preview_page
from dunning_pipeline.letters.proof.support import features, unsupported
from dunning_pipeline.letters.proof.words import promotion_above, spam_triggers
from dunning_pipeline.letters.rendering import render_email
from dunning_pipeline.letters.versions import pin, pinned, publish, published, state
from tests.letters.conftest import page

NOW = datetime(2025, 11, 3, 9, 0, tzinfo=UTC)
FOOT = "{{ company.postal_line }}"


def test_the_shipped_templates_are_good_to_send(shipped):
    assert [str(finding) for finding in check_templates(shipped)] == []


def test_shipped_emails_stay_small_and_readable_in_the_dark(shipped, sample):
    for source in shipped.sources():
        if source.channel != "email":
            continue
        mail = render_email(compile_template(source), sample(source.template, source.language))
        assert len(mail.html.encode()) < 60_000, source.file
        assert len(mail.subject) <= 78 and 10 < len(mail.preheader) <= 120, source.file
        assert "prefers-color-scheme: dark" in mail.html
    for tone in ("#1f5fbf", "#8f5300", "#b3261e", "#1b7340", "#3b4a5c"):
        rgb = tuple(int(tone[at : at + 2], 16) for at in (1, 3, 5))
        assert ratio(rgb, (255, 255, 255)) >= 4.5
    dark, soft, light, warn = (26, 33, 43), (179, 191, 204), (238, 242, 247), (255, 180, 171)
    assert min(ratio(dark, color) for color in (soft, light, warn)) >= 4.5


@pytest.mark.parametrize(
    ("content", "subject", "check"),
    [
        (f'<mj-text color="#bbbbbb">{FOOT}</mj-text>', "Hi", "contrast"),
        (f'<mj-raw><img src="https://x.org/a.png"></mj-raw><mj-text>{FOOT}</mj-text>', "Hi", "alt"),
        (f'<mj-text><a href="http://x.org">x</a>{FOOT}</mj-text>', "Hi", "links"),
        (f'<mj-text><a href="">x</a>{FOOT}</mj-text>', "Hi", "links"),
        ("<mj-text>no address here</mj-text>", "Hi", "address"),
        (f"<mj-table><tr><th>x</th></tr></mj-table><mj-text>{FOOT}</mj-text>", "Hi", "table"),
        (f"<mj-text>{FOOT}</mj-text>", "Hi " * 40, "subject"),
        (f"<mj-text>{FOOT}</mj-text>", "PLEASE PAY EVERYTHING NOW", "spam"),
        (f"<mj-text>Special offer! {{{{ totals.please_pay|money }}}} {FOOT}</mj-text>", "Hi", "promotion"),
        (f"<mj-text>{'x ' * 60000} {FOOT}</mj-text>", "Hi", "size"),
        (f'<mj-text><div style="display:grid">x</div> {FOOT}</mj-text>', "Hi", "support"),
        (f"<mj-text>{{{{ '{{{{' }}}} {FOOT}</mj-text>", "Hi", "leftover"),
    ],
)
def test_a_check_finds(content, subject, check, author, sample):
    version = compile_template(author("probe", page(content), subject=subject))
    document = sample("final_reminder", "en")
    said = list(check_email(version, render_email(version, document), document))
    assert check in {name for _, name, _ in said}, said


def test_advertising_is_found_in_the_html_alone(author, sample):
    preview = "<mj-preview>{{ totals.please_pay|money }}</mj-preview>"
    content = f"<mj-text>Special offer! {{{{ totals.please_pay|money }}}} {FOOT}</mj-text>"
    mjml = page(content).replace("<mj-preview>p</mj-preview>", preview)
    version = compile_template(author("probe", mjml, text="{{ totals.please_pay|money }} {{ company.postal_line }}"))
    document = sample("final_reminder", "en")
    said = list(check_email(version, render_email(version, document), document))
    assert [check for _, check, _ in said if check == "promotion"] == ["promotion"]


def test_a_forgotten_alt_text_and_an_empty_sms_are_errors(author, workspace):
    author("probe", page('<mj-image src="https://x.org/a.png" width="9px" />\n<!-- <mj-image src="x" /> -->'))
    (workspace.templates / "sms" / "en" / "probe.j2").write_text(" ", encoding="utf-8")
    errors = {(f.check, f.message) for f in check_templates(Catalogue(workspace), names=("probe",))}
    assert ("sms", "the message is empty") in errors
    [alt] = [message for check, message in errors if check == "alt"]
    assert "probe.mjml:2:1: an image without alt text" in alt


def test_a_check_reports_what_does_not_compile_and_what_is_not_translated(author, workspace):
    author("probe", page("<mj-txt>x</mj-txt>"))
    findings = {
        (finding.check, finding.language, finding.severity)
        for finding in check_templates(Catalogue(workspace), names=("probe",))
    }
    assert ("compile", "en", "error") in findings
    assert {("translation", language, "warning") for language in ("de", "fr", "es")} <= findings


def test_labels_are_complete_in_every_language(workspace):
    wanted = set(read_labels(workspace.templates, "en"))
    for language in ("de", "fr", "es", "pl", "ja"):
        assert set(read_labels(workspace.templates, language)) == wanted


def test_samples_have_the_shape_of_real_documents(shipped, sample):
    for name in (
        "friendly_reminder",
        "second_reminder",
        "final_reminder",
        "pre_due_notice",
        "payment_thanks",
        "account_statement",
    ):
        assert (shipped.root / "samples" / f"{name}.json").is_file()
        document = sample(name, "en")
        assert set(document) == set(SHAPE) - set(AT_SENDING) - set(IN_DIGESTS)
        for row in document["items"]:
            assert set(row) == set(SHAPE["items"][0])


def test_contrast_reads_inherited_colors():
    html = (
        '<body style="background:#ffffff"><div style="color:#777"><b style="font-size:30px">big</b>small</div></body>'
    )
    assert [text for text, _ in low_contrasts(html)] == ["small"]
    assert ratio((0, 0, 0), (255, 255, 255)) == pytest.approx(21)


def test_words_of_filters_and_of_advertising():
    assert spam_triggers("Hier klicken!!", "", "de") == ["hier klicken", "row of ! ? $ €"]
    assert promotion_above("Rabatt! Bitte zahlen Sie 5 €", "5 €", "de") == ["rabatt"]
    assert promotion_above("Bitte zahlen Sie 5 €. Rabatt!", "5 €", "de") == []


def test_the_support_table_agrees_with_its_source(shared_data):
    source = json.loads((shared_data / "email" / "caniemail.json").read_text())
    slugs = {feature["slug"] for feature in source["data"] if feature["category"] in ("css", "html")}
    assert set(features()) == slugs
    assert "outlook windows" in features()["css-display-grid"]["not"]
    assert any("flex" in title for title, _ in unsupported('<div style="display:flex">x</div>'))


def test_the_preview_shows_every_persona_and_keeps_hostile_names_harmless(catalogue, workspace):
    with open_ledger(workspace).begin() as connection:
        publish(connection, compile_template(catalogue.find("friendly_reminder", "email", "en")), now=NOW, by="x")
        file = catalogue.find("friendly_reminder", "email", "en").file
        file.write_text(file.read_text().replace("A friendly reminder", "A gentle reminder"))
        made = preview_page(catalogue, "friendly_reminder", "en", company=workspace.company, connection=connection)
    for name in ("sample", "long name", "200 invoices", "hostile name", "Kuwaiti dinar"):
        assert f"<h2>{name}</h2>" in made
    assert "<script" not in made and 'class="error"' not in made
    assert "application/pdf;base64," in made and "GSM-7" in made and "prefers-color-scheme" in made
    assert "A gentle reminder" in made and "-" in made and "never published" in made  # e-mail differs, letter is new
    assert "<code>totals.please_pay</code>" in made


def test_the_preview_shows_an_error_where_a_persona_cannot_be_rendered(author, workspace):
    author("probe", page(f"<mj-text>{{{{ payment.reference }}}} {FOOT}</mj-text>"))
    made = preview_page(Catalogue(workspace), "probe", "en", company=workspace.company)
    assert made.count('<pre class="error">') == 1 and "without a value" in made
    with pytest.raises(NotThere):
        preview_page(Catalogue(workspace), "nothing", "en", company=workspace.company)


def test_the_inspector_names_value_origin_and_fallback(author, sample):
    version = compile_template(author("probe", page('<mj-text>{{ bill_group.name|default("x") }}</mj-text>')))
    (row,) = [row for row in used_fields(version, sample("final_reminder", "en")) if row["field"] == "bill_group.name"]
    assert row == {
        "field": "bill_group.name",
        "value": "Supply contract 2024",
        "origin": "data graph: bill_group",
        "fallback": '"x"',
        "used": 1,
    }


def test_publishing_again_changes_nothing_and_an_edit_is_a_new_version(catalogue, workspace):
    source = catalogue.find("friendly_reminder", "email", "de")
    first = compile_template(source)
    with open_ledger(workspace).begin() as connection:
        assert state(connection, first) == "new"
        assert publish(connection, first, now=NOW, by="anna")
        assert not publish(connection, first, now=NOW + timedelta(hours=1), by="anna")
        source.file.write_text(source.file.read_text().replace("Vielen Dank", "Besten Dank"))
        second = compile_template(source)
        assert state(connection, second) == "changed"
        assert publish(connection, second, now=NOW + timedelta(hours=2), by="anna")
        assert published(connection, "friendly_reminder", "email", "de").version == second.version
        assert (
            pinned(connection, first.version).compiled == first.compiled
        )  # a queued send still gets what it was pinned to
        assert publish(connection, first, now=NOW + timedelta(hours=3), by="anna")  # going back
        found = pin(connection, workspace, template="friendly_reminder", channel="email", language="de-AT", now=NOW)
        assert found == first.version
        with pytest.raises(NotThere):
            pinned(connection, "0" * 64)


@pytest.fixture
def run(workspace, monkeypatch):
    from dunning_pipeline.cli.templates import app

    monkeypatch.setenv("DUNNING_WORKSPACE", str(workspace.root))
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_the_command_lists_publishes_and_previews(run, workspace):
    shutil.rmtree(workspace.templates / "email" / "es")
    rows = json.loads(run("list", "--format", "json").stdout)
    assert {row["state"] for row in rows} == {"new"} and len({row["template"] for row in rows}) == 7
    rows = json.loads(run("publish", "friendly_reminder", "--by", "anna", "--format", "json").stdout)
    assert {row["state"] for row in rows} == {"new"}
    rows = json.loads(run("publish", "friendly_reminder", "--format", "json").stdout)
    assert {row["state"] for row in rows} == {"unchanged"}
    rows = json.loads(run("list", "--format", "json").stdout)
    assert {row["state"] for row in rows if row["template"] == "friendly_reminder"} == {"published"}
    assert run("preview", "payment_thanks", "--language", "fr").exit_code == 0
    assert (workspace.state / "previews" / "payment_thanks.fr.html").is_file()


def test_the_command_fails_where_a_template_must_not_be_sent(run, author):
    assert run("check", "payment_thanks", "--format", "json").exit_code == 0
    author("probe", page("<mj-text>no address</mj-text>"))
    result = run("check", "probe", "--format", "json")
    assert result.exit_code == 1
    assert {row["check"] for row in json.loads(result.stdout)} >= {"address", "translation"}
