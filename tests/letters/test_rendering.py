"""Rendering: strict fields, no injection, no endless templates, the reader's locale."""

import pytest

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.formats import choose_locale, money_text
from dunning_pipeline.letters.pdf import render_pdf
from dunning_pipeline.letters.rendering import render_email, render_sms, render_wording
from dunning_pipeline.letters.sms import count_segments, normalised
from tests.letters.conftest import page

HOSTILE = (
    '<script>alert(1)</script>"\r\nBcc: all@evil.example\r\n\r\n{{ 7*7 }}{% for x in items %}&amp;<mj-include path="x">'
)


def render(author, sample, content, *, subject="Hi", text="t", **changes):
    document = {**sample("final_reminder", "en"), **changes}
    return render_email(compile_template(author("probe", page(content), subject=subject, text=text)), document)


def test_hostile_names_stay_text_everywhere(version, sample):
    document = sample("final_reminder", "en")
    document["account"]["name"] = document["contact"]["full_name"] = document["company"]["name"] = HOSTILE
    mail = render_email(version("final_reminder", "email", "en"), document)
    assert "<script>" not in mail.html and "<mj-include" not in mail.html
    assert "&lt;script&gt;" in mail.html and "{{ 7*7 }}" in mail.html
    assert "<script>alert(1)</script>" in mail.text  # the text part is text: shown as it is


def test_a_reader_without_a_template_reads_one_language(version, sample):
    """A Kuwaiti reader's account is in Arabic; the English text says dates, amounts and the country in English."""
    document = sample("final_reminder", "en")
    arabic = document | {"locale": "ar_KW", "company": document["company"] | {"postal_line": "ألمانيا"}}
    for make in (
        lambda told: render_email(version("final_reminder", "email", "en"), told).text,
        lambda told: render_sms(version("final_reminder", "sms", "en"), told),
        lambda told: render_pdf(told, version=version("final_reminder", "letter", "en")),
    ):
        assert make(arabic) == make(document)


def test_a_subject_cannot_carry_a_header(author, sample):
    mail = render(author, sample, "<mj-text>x</mj-text>", subject="Hello {{ account.name }} & you",
                  account={"name": "A\r\nBcc: evil@x.example\x00\u2028B <b>"})  # fmt: skip
    assert mail.subject == "Hello A Bcc: evil@x.example B <b> & you"


def test_hand_written_texts_replace_the_templates_and_are_escaped(version, sample):
    texts = {"subject": "My\nsubject", "opening": "First <b>\n\nSecond", "closing": None, "sms": "short"}
    document = {**sample("final_reminder", "en"), "texts": texts}
    mail = render_email(version("final_reminder", "email", "en"), document)
    assert mail.subject == "My subject"
    assert "First &lt;b&gt;" in mail.html and "In spite of" not in mail.html and "kind regards" in mail.html.lower()
    assert "First <b>" in mail.text
    assert render_sms(version("final_reminder", "sms", "en"), document) == "short"
    wording = render_wording(version("final_reminder", "letter", "en"), document)
    assert wording["opening"] == "First <b>\n\nSecond" and "Kind regards" in wording["closing"]


def test_copied_texts_keep_their_bold_and_give_the_same_letter(version, sample):
    letter, document = version("final_reminder", "letter", "de"), sample("final_reminder", "de")
    wording = render_wording(letter, document)
    assert "**7. September 2025**" in wording["opening"]
    again = {**document, "texts": {**document["texts"], **wording}}
    assert render_wording(letter, again) == wording


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("{{ contact.title_of_nobility }}", "there is no merge field"),
        ("{{ bill_group.name }}", "without a value"),
        ("{{ statement.deadline|date }}", "without a value"),
        ("{{ account.name|money }}", "not an amount"),
        ("{{ account.name|date }}", "not an ISO date"),
    ],
)
def test_a_missing_or_wrong_field_names_template_and_line(expression, message, author, sample):
    document = sample("final_reminder", "en")
    statement = {**document["statement"], "deadline": None}
    with pytest.raises(InvalidDeclaration, match=message) as caught:
        render(author, sample, f"<mj-text>one\n{expression}</mj-text>",
               bill_group={"id": None, "name": None}, statement=statement)  # fmt: skip
    assert str(caught.value.file).endswith("probe.mjml") and caught.value.line == 3


@pytest.mark.parametrize(
    ("content", "field", "column"),
    [
        ("{{ company.name }} {{ account.vat_id }} {{ account.name }}", "account.vat_id", 29),
        ("{{ company.name }} {{ statement.deadline|date }}", "statement.deadline", 29),
        ("{{ company.name }}{% for item in items %}{{ item.invoice_number }}{{ item.reference }}{% endfor %}",
         "item.reference", 76),
    ],
)  # fmt: skip
def test_an_empty_field_is_named_where_many_stand_in_a_line(content, field, column, author, sample):
    document = sample("final_reminder", "en")
    with pytest.raises(InvalidDeclaration, match=f"without a value[^:]*: {field}") as caught:
        render(author, sample, f"<mj-text>{content}</mj-text>",
               account={**document["account"], "vat_id": None}, statement={**document["statement"], "deadline": None},
               items=[{**item, "reference": None} for item in document["items"]])  # fmt: skip
    assert (caught.value.line, caught.value.column) == (2, column)


def test_a_field_that_is_gone_from_an_old_document_names_the_field(author, sample):
    document = sample("final_reminder", "en")
    account = {key: value for key, value in document["account"].items() if key != "number"}
    with pytest.raises(InvalidDeclaration, match="number") as caught:
        render(author, sample, "<mj-text>{{ account.number }}</mj-text>", account=account)
    assert "did you mean" in str(caught.value) and caught.value.line == 2


def test_fallbacks_are_explicit(author, sample):
    mail = render(author, sample, '<mj-text>{{ bill_group.name|default("your contract") }}</mj-text>',
                  bill_group={"id": None, "name": None})  # fmt: skip
    assert "your contract" in mail.html


@pytest.mark.parametrize(
    "content",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{{ company.postal_line }}{% endfor %}",
        "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ '%1000000000d' % 1 }}",
        "{% for a in items recursive %}{{ loop(items) }}{% endfor %}",
        "{{ range(999999999)|list }}",
        "{{ account.__class__.__mro__ }}",
        "{{ ''.__class__ }}",
        "{{ items.append(1) }}",
    ],
)
def test_templates_without_end_or_manners_stop(content, author, sample):
    with pytest.raises(InvalidDeclaration):
        render(author, sample, f"<mj-text>{content}</mj-text>")


@pytest.mark.parametrize(
    ("language", "country", "locale"),
    [("de", "DE", "de_DE"), ("de", "AT", "de_AT"), ("de-CH", "DE", "de_CH"), ("en", "US", "en_US"),
     ("en", "DE", "en_GB"),
     ("en", None, "en_GB"), ("fr", "CA", "fr_CA"), ("ja", "JP", "ja_JP"), ("xx", "DE", "en_GB"), ("es", "DE", "es")],
)  # fmt: skip
def test_locales(language, country, locale):
    assert choose_locale(language, country) == locale


def test_money_in_the_readers_locale():
    assert money_text("6522.96", "EUR", "de_DE") == "6.522,96\xa0€"
    assert money_text("6522.96", "USD", "en_US") == "$6,522.96"
    assert money_text("652296", "JPY", "ja_JP") == "￥652,296"
    assert money_text("1.234", "KWD", "en_GB") == "KWD1.234"


def test_the_text_part_is_made_from_the_html_where_nobody_wrote_one(author, sample):
    mail = render(author, sample, "<mj-text>Hello <b>{{ account.name }}</b></mj-text>", text=None)
    assert "Hello ACME GmbH" in mail.text and "<" not in mail.text


@pytest.mark.parametrize(
    ("text", "alphabet", "segments"),
    [("a" * 160, "GSM-7", 1), ("a" * 161, "GSM-7", 2), ("€" * 80, "GSM-7", 1), ("€" * 81, "GSM-7", 2),
     ("a" * 152 + "€" + "a" * 10, "GSM-7", 2), ("ś" * 70, "UCS-2", 1), ("ś" * 71, "UCS-2", 2),
     ("😀" * 35, "UCS-2", 1), ("😀" * 36, "UCS-2", 2), ("", "GSM-7", 1)],
)  # fmt: skip
def test_sms_segments(text, alphabet, segments):
    assert (count_segments(text).alphabet, count_segments(text).segments) == (alphabet, segments)


def test_sms_use_the_cheap_alphabet_where_it_is_readable():
    assert normalised("1.234,56\xa0€ – “now”\u202f…") == '1.234,56 € - "now" ...'
    assert count_segments(normalised("Último recordatório")).alphabet == "GSM-7"
    assert normalised("お支払い") == "お支払い"
    assert normalised("zażółć gęślą łódź") == "zazolc gesla lodz"
    assert normalised("fu\u0308r Sie") == "für Sie"  # written as u and two dots
