"""The quick program of a template prints what the strict one prints, or leaves the word to it."""

import copy
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.letters import rendering
from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.compiling import TemplateVersion, compile_template
from dunning_pipeline.letters.environment import letter_environment
from dunning_pipeline.letters.proof.personas import personas
from dunning_pipeline.letters.samples import sample_document
from dunning_pipeline.settings.workspace import Workspace
from tests.conftest import ROOT

SHIPPED = Catalogue(Workspace(ROOT))


class Stumbled(Exception):
    pass


def parts(version: TemplateVersion, document: dict) -> list[str]:
    """Each program of a version, printed; or the mistake that it is told for."""
    told = []
    for part, source in sorted(version.compiled.items()):
        if isinstance(source, str) and part not in ("layout", "logo"):
            try:
                told.append(str(rendering._Filling(version, document).part(part)))
            except InvalidDeclaration as error:
                told.append(f"{error}")
    return told


def strictly(version: TemplateVersion, document: dict) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "_environment", lambda autoescape, quick: letter_environment(autoescape=autoescape))
        return parts(replace(version), document)  # a version of its own: its programs are not known yet


@pytest.mark.parametrize("source", list(SHIPPED.sources()), ids=lambda s: f"{s.channel}-{s.template}-{s.language}")
def test_no_shipped_template_needs_its_strict_program(source, monkeypatch):
    version = compile_template(source)
    readers = personas(sample_document(source.root, source.template, source.language))
    expected = {name: strictly(version, document) for name, document in readers.items()}

    def stumble(self, part):
        raise Stumbled(part)

    monkeypatch.setattr(rendering.Programs, "strict", stumble)
    assert {name: parts(version, document) for name, document in readers.items()} == expected


@cache
def _reminder() -> TemplateVersion:
    return compile_template(SHIPPED.find("final_reminder", "email", "de"))


def _places(tree, path=()):
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*path, key))


PLACES = [  # what is checked when a document is made is left as it is
    path
    for path in _places(sample_document(SHIPPED.root, "final_reminder", "de"))
    if not {"locale", "language"}.intersection(path)
]
ODD = st.sampled_from([None, "", 0, 7, 1.5, True, "x<y", "2025-11-04", "-3.10", [], ["a"], {}, {"name": "n"}])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PLACES), ODD, st.booleans())
def test_a_document_with_something_odd_reads_the_same_or_fails_the_same(path, value, is_lost):
    document = copy.deepcopy(sample_document(SHIPPED.root, "final_reminder", "de"))
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    if is_lost:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    assert parts(_reminder(), document) == strictly(_reminder(), document)


@pytest.mark.parametrize(
    "content",
    [
        "{{ totals.please_pay|money('USD') }} {{ totals.please_pay|money(currency) }} {{ totals.principal|amount }}",
        "{{ statement.deadline|date('short') }} {{ statement.deadline|date(style='short') }} {{ '4.50'|money }}",
        "{{ account.nick|default('none') }} {{ (account.nick)|d(account.name) }} {{ totals.item_count|number }}",
        "{% if account.nick is defined %}a{% else %}b{% endif %} {{ items[0].open_amount|money|upper }}",
        "{% for item in items %}{{ loop.index }}/{{ loop.length }} {{ item.invoice_number }}{% endfor %}",
        "{% macro row(x) %}[{{ x.invoice_number }}|{{ x.open_amount|money }}]{% endmacro %}{{ row(items[0]) }}",
        "{% set who = account %}{% if who %}{{ who.name }} {{ texts.opening|paragraphs }}{% endif %}",
        "{% set ns = namespace(x=1) %}{{ ns.x }}",
        "{% block a %}{{ company.name }}{% endblock %}{% set k = 2 %}{% block b %}{{ k }}{% endblock %}",
        "{{ account.name ~ ' & ' ~ company.name }} {{ account['name'] }} {{ account.items }}",
        "{{ account.name.upper }} {{ account.name.__class__ }}",
        "{{ range(3)|join(',') }} {% filter upper %}a {{ account.name }}{% endfilter %}",
    ],
)
def test_all_that_a_template_may_write_is_the_same_in_both(content, sample):
    version = replace(_reminder(), compiled={"html": content, "subject": content, "text": content}, places={})
    document = {**sample("final_reminder", "de"), "texts": {"opening": "a <b>\n\nc"}}
    document["account"] |= {"name": "A & <b>B</b>"}
    assert parts(version, document) == strictly(version, document)
