"""Authoring: Jinja survives the compiler, includes stay in their folder, mistakes come with file, line and column."""

import pytest

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.markup.including import Assembled, assemble
from dunning_pipeline.letters.markup.masking import find_constructs, mask
from dunning_pipeline.letters.rendering import render_email
from tests.letters.conftest import page

PROBES = [
    "{{ account.name }}",
    "{% if totals.item_count > 3 and totals.item_count < 9 %}<b>many</b>{% endif %}",
    "{# a comment with <tags> & things #}",
    '{{ "}} not the end" }}',
    "{{ '<a href=\"x\">' }}",
    '<a href="{{ payment.link }}?a=1&amp;b=2" title="{{ company.name }}">pay</a>',
    '<span {% if totals.item_count %}class="x"{% endif %}>y</span>',
    "{{- account.name -}}",
    "<!--[if mso]><p>{{ account.name }}</p><![endif]-->",
    "a &amp; b &lt; c &nbsp; d",
]


def assembled(text, tmp_path):
    file = tmp_path / "probe.mjml"
    file.write_text(text, encoding="utf-8")
    return assemble(file, root=tmp_path)


@pytest.mark.parametrize("probe", PROBES)
def test_what_is_masked_comes_back_unchanged(probe, tmp_path):
    masked = mask(assembled(probe, tmp_path))
    assert "{{" not in masked.text and "{%" not in masked.text and "{#" not in masked.text
    assert masked.restore(masked.text, {}) == probe.replace("{# a comment with <tags> & things #}", "")


@pytest.mark.parametrize("probe", [probe for probe in PROBES if "{#" not in probe])
def test_what_is_written_arrives_in_the_compiled_template(probe, author):
    version = compile_template(author("probe", page(f"<mj-text>{probe}</mj-text>")))
    for construct in find_constructs(Assembled(probe, [(0, None, 0, probe)])):
        assert construct.text in version.compiled["html"]


def test_loops_stay_inside_their_table(author, sample):
    rows = (
        "<tr><th scope='col'>a</th></tr>{% for item in items %}<tr><td>{{ item.invoice_number }}</td></tr>{% endfor %}"
    )
    inline = '<mjml lang="en"><mj-head><mj-style inline="inline">td { color: red }</mj-style></mj-head><mj-body>'
    inline += f"<mj-section><mj-column><mj-table>{rows}</mj-table></mj-column></mj-section></mj-body></mjml>"
    mail = render_email(compile_template(author("probe", inline)), sample("final_reminder", "en"))
    assert (
        mail.html.index("<table") < mail.html.index(">A</td>") < mail.html.index(">B</td>") < mail.html.index("</table")
    )


def test_sections_may_stand_inside_an_if(author, sample):
    text = '<mjml lang="en"><mj-body>{% if credits %}<mj-section><mj-column><mj-text>yes</mj-text></mj-column>'
    text += "</mj-section>{% else %}<mj-section><mj-column><mj-text>no</mj-text></mj-column></mj-section>{% endif %}"
    version = compile_template(author("probe", text + "</mj-body></mjml>"))
    document = sample("final_reminder", "en")
    assert "yes" in render_email(version, document).html and "no" not in render_email(version, document).text
    assert "no" in render_email(version, {**document, "credits": []}).text


def test_quotes_and_entities_in_attributes_keep_their_meaning(author, sample):
    image = '<mj-image width="100px" src="https://x.example/a.png?a=1&amp;b=2" alt="A &amp; B &quot;C&quot;" />'
    html = render_email(compile_template(author("probe", page(image))), sample("final_reminder", "en")).html
    assert 'alt="A &amp; B &quot;C&quot;"' in html


@pytest.mark.parametrize(
    ("content", "line", "column", "message"),
    [
        ("<mj-txt>x</mj-txt>", 2, 1, "unknown element <mj-txt>"),
        ('<mj-text colour="red">x</mj-text>', 2, 10, "no attribute 'colour'"),
        ("<mj-section></mj-section>", 2, 1, "<mj-section> cannot stand in <mj-column>"),
        ("<mj-text>a\n\n <mj-button>b</mj-button></mj-text>", 4, 2, "<mj-button> cannot stand inside <mj-text>"),
        ("<mj-text>a", 2, 1, "<mj-text> is not closed"),
        ("hello", 2, 1, "text directly in <mj-column> is lost"),
        ("<p>hello</p>", 2, 1, "<p> cannot stand in <mj-column>"),
        ('<mj-text align="middle">x</mj-text>', 2, 10, "is not one of"),
        ('<mj-text color="12">x</mj-text>', 2, 10, "is no color"),
        ('<mj-text padding="big">x</mj-text>', 2, 10, "is no length"),
        ('<mj-image alt="" src="x" width="{{ totals.item_count }}" />', 2, 26, "needs a number"),
        ("<mj-text {% if credits %}color='red'{% endif %}>x</mj-text>", 2, 1, "between the attributes"),
        ("<mj-text>{{ label.nothing }}</mj-text>", 2, 10, "there is no label 'nothing'"),
        ("<mj-text>{{ statement.numbr }}</mj-text>", 2, 10, "there is no merge field 'statement.numbr'"),
        ("<mj-text>{% for item in items %}{{ item.amount }}{% endfor %}</mj-text>", 2, 33, "'item.amount'"),
        ("<mj-text>{{ secret }}</mj-text>", 2, 10, "there is no merge field 'secret'"),
        ("<mj-text>{{ account.name </mj-text>", 2, None, "unexpected"),
        ("<mj-text {{ company.name }}>x</mj-text>", 2, 10, "a merge field between the attributes of <mj-text> is lost"),
        ("<mj-text>\n{% if credits %}x</mj-text>", 3, 1, "{% if credits %} is never closed"),
        ("<mj-text>x{% endfor %}</mj-text>", 2, 11, "{% endfor %} belongs to no block"),
        ("{% if credits %}<mj-text>x{% endif %}</mj-text>", 2, 27, "another element than its {% if credits %}"),
        ("<mj-text>{% for item in items %}{% if credits %}{% endfor %}</mj-text>", 2, 33, "is never closed"),
        ("<mj-carousel></mj-carousel>", 2, 1, "does not work in most mail programs"),
        ("<mj-hero></mj-hero>", 2, 1, "<mj-hero> cannot stand"),
    ],
)  # fmt: skip
def test_mistakes_come_with_file_line_and_column(content, line, column, message, author):
    with pytest.raises(InvalidDeclaration) as caught:
        compile_template(author("probe", page(content)))
    assert message in str(caught.value)
    assert str(caught.value.file).endswith("probe.mjml")
    assert caught.value.line == line
    if column:
        assert caught.value.column == column


def test_each_of_several_mistakes_keeps_its_own_remedy(author):
    with pytest.raises(InvalidDeclaration) as caught:
        compile_template(author("probe", page("<mj-section></mj-section>\n<mj-text siz='1'>x</mj-text>")))
    said = [line.strip() for line in str(caught.value).splitlines()]
    assert [line.split(": ")[-1] for line in said] == [
        "<mj-section> cannot stand in <mj-column>",
        "→ it belongs into mj-body, mj-wrapper",
        "<mj-text> has no attribute 'siz'",
        "→ remove it",
    ]


def test_a_mistake_in_the_text_part_is_shown_there_and_not_in_the_html(author, sample):
    words = "{% for item in items %}{{ item.description }}{% endfor %}"
    source = author("probe", page(f"<mj-text>{{% if credits %}}{words}{{% endif %}}</mj-text>"), text=f"\n\n {words}")
    document = sample("final_reminder", "en")
    document["items"] = [{**item, "description": None} for item in document["items"]]
    with pytest.raises(InvalidDeclaration) as caught:
        render_email(compile_template(source), {**document, "credits": []})
    assert str(caught.value.file).endswith("probe.txt.j2") and (caught.value.line, caught.value.column) == (3, 25)


def test_an_empty_file_is_a_sentence(author, catalogue, workspace):
    with pytest.raises(InvalidDeclaration, match="there is no <mjml> element"):
        compile_template(author("probe", ""))
    (workspace.templates / "letter" / "en" / "probe.j2").write_text("", encoding="utf-8")
    with pytest.raises(InvalidDeclaration, match="the part `== subject ==` is missing"):
        compile_template(catalogue.find("probe", "letter", "en"))


def test_the_nearest_field_is_named(author):
    with pytest.raises(InvalidDeclaration, match=r"did you mean 'statement.number'"):
        compile_template(author("probe", page("<mj-text>{{ statement.numbr }}</mj-text>")))


def test_a_mistake_in_a_part_is_shown_in_the_part(author, workspace):
    part = workspace.templates / "email" / "parts" / "broken.mjml"
    part.write_text("<mj-text>ok</mj-text>\n<mj-text siz='1'>x</mj-text>", encoding="utf-8")
    with pytest.raises(InvalidDeclaration) as caught:
        compile_template(author("probe", page('<mj-include path="../parts/broken.mjml" />')))
    assert str(caught.value.file).endswith("broken.mjml") and caught.value.line == 2


@pytest.mark.parametrize("name", ["Roboto", "Open Sans"])
def test_known_crashes_of_the_compiler_are_sentences(name, author):
    font = f'<mjml lang="en"><mj-head><mj-font name="{name}" href="https://x.example/f.css" /></mj-head>'
    font += "<mj-body></mj-body></mjml>"
    with pytest.raises(InvalidDeclaration, match="linked by the compiler already"):
        compile_template(author("probe", font))


OUTSIDE = ["/etc/passwd", "../../../../etc/passwd", "../../../policies/company.yaml", "link.mjml"]
WRONG = ["https://x.example/a.mjml", "", "../parts/none.mjml", "probe.mjml"]


@pytest.mark.parametrize("path", OUTSIDE + WRONG)
def test_includes_stay_in_the_templates_folder(path, author, workspace):
    (workspace.templates / "email" / "en" / "link.mjml").symlink_to("/etc/hostname")
    with pytest.raises(InvalidDeclaration) as caught:
        compile_template(author("probe", page(f'<mj-include path="{path}" />')))
    assert caught.value.line == 2


def test_includes_do_not_go_in_circles_or_too_deep(author, workspace):
    parts = workspace.templates / "email" / "parts"
    (parts / "a.mjml").write_text('<mj-include path="b.mjml" />')
    (parts / "b.mjml").write_text('<mj-include path="a.mjml" />')
    with pytest.raises(InvalidDeclaration, match="circle"):
        compile_template(author("probe", page('<mj-include path="../parts/a.mjml" />')))
    for depth in range(12):
        (parts / f"d{depth}.mjml").write_text(f'<mj-include path="d{depth + 1}.mjml" />')
    (parts / "d12.mjml").write_text("<mj-text>x</mj-text>")
    with pytest.raises(InvalidDeclaration, match="10 deep"):
        compile_template(author("probe", page('<mj-include path="../parts/d0.mjml" />')))


def test_css_parts_become_styles(author, workspace, sample):
    (workspace.templates / "email" / "parts" / "extra.css").write_text(".quiet { color: #123456; }")
    text = page("<mj-text>x</mj-text>").replace(
        "<mj-preview>", '<mj-include type="css" path="../parts/extra.css" /><mj-preview>'
    )
    assert "#123456" in render_email(compile_template(author("probe", text)), sample("final_reminder", "en")).html


def test_a_version_is_a_hash_of_what_the_files_become(catalogue, version):
    source = catalogue.find("friendly_reminder", "email", "en")
    before = compile_template(source).version
    assert compile_template(source).version == before
    source.file.write_text(source.file.read_text() + "\n")
    assert compile_template(source).version == before  # white space after the end changes nothing
    source.file.write_text(source.file.read_text().replace("Perhaps", "Maybe"))
    assert compile_template(source).version != before


def test_language_fallback_and_missing_templates(catalogue):
    assert catalogue.find("friendly_reminder", "email", "de-AT").language == "de"
    assert catalogue.find("friendly_reminder", "email", "pt").language == "en"
    assert catalogue.missing() == []
    with pytest.raises(Exception, match="did you mean 'friendly_reminder'"):
        catalogue.find("friendly_remindr", "email", "en")
    with pytest.raises(Exception, match="no email template"):
        catalogue.find("../../policies/company", "email", "en")
