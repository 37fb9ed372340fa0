"""Thousands of accounts, each with words of its own: nothing of another account inside any message or PDF."""

import io
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from email import message_from_bytes, policy
from multiprocessing import get_context
from pathlib import Path

import pytest
from jinja2 import Template

from dunning_pipeline.delivery.judging.leaks import words_of
from dunning_pipeline.delivery.providers.protocol import Message
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.environment import letter_environment
from dunning_pipeline.letters.printing import Plate, Print
from dunning_pipeline.letters.rendering import render_email
from dunning_pipeline.letters.samples import sample_document
from tests.delivery.desk import NOW, Desk


def canaries(number: int) -> dict[str, str]:
    return {
        "invoice": f"CANARY-{number:05d}-A",
        "name": f"Kanarienvogel {number:05d} Q",
        "street": f"Weg K{number:05d}S",
    }


def world(desk: Desk, accounts: int, *, every_pdf: int = 1) -> dict[str, int]:
    """Queue one reminder per account, each nth with its PDF; key → number of the account."""
    keys: dict[str, int] = {}
    for number in range(accounts):
        desk.invoice(canaries(number)["invoice"], account=f"a{number:05d}")
    desk.publish()
    with desk.one_transaction():
        for number in range(accounts):
            own = canaries(number)
            statement = desk.statement(
                f"a{number:05d}", lines={own["invoice"]: 10000}, account_name=own["name"],
                address={"name": own["name"], "street": own["street"], "postal_code": "10115", "city": "Berlin",
                         "country": "DE"},
            )  # fmt: skip
            [key] = desk.queue(statement, overrides=None if number % every_pdf == 0 else {"attachments": False})
            keys[key] = number
    return keys


def told_by(file: Path) -> set[int]:
    """The accounts that an .eml names anywhere: headers, texts as they stand in the file, each page of its PDF."""
    from pypdf import PdfReader

    content = file.read_bytes()
    text, _, attached = content.partition(b"application/pdf")
    said = text.decode()
    assert "CANARY-" in said, file
    if attached:
        [pdf] = [
            part.get_payload(decode=True)
            for part in message_from_bytes(content, policy=policy.default).iter_attachments()
        ]
        pages = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
        assert "CANARY-" in pages, file
        said += pages
    return {int(digits) for digits in re.findall(r"(?:CANARY-|Kanarienvogel |Weg K|(?<!-)\ba)(\d{5})", said)}


def test_a_few_accounts_stay_apart(desk: Desk) -> None:
    keys = world(desk, 20)
    assert deliver(desk.ws, now=NOW, workers=4)["sent"] == 20
    for key, number in keys.items():
        assert told_by(desk.ws.outbox / f"{key}.eml") == {number}


@pytest.mark.slow
def test_five_thousand_accounts_stay_apart(desk: Desk) -> None:
    keys = world(desk, 5_000, every_pdf=20)
    assert deliver(desk.ws, now=NOW, workers=4)["sent"] == 5_000
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as readers:
        told = readers.map(told_by, [desk.ws.outbox / f"{key}.eml" for key in keys], chunksize=250)
        assert list(told) == [{number} for number in keys.values()]


@pytest.mark.parametrize("where", ["html", "link", "pdf"])
def test_what_only_the_html_or_the_pdf_says_is_seen_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    from dunning_pipeline.delivery.rendering import Renderer

    desk.invoice("INV-00001", account="acme")
    desk.invoice("OTHER-00002", account="other")
    desk.publish()
    statement = desk.statement("acme", lines={"INV-00001": 10000})
    if where == "pdf":
        charge = {"type": "fee", "reference": "OTHER-00002", "invoice_number": None, "amount": "1.00"}
        content = {**statement["content"], "charges": [charge]}
        # a document frozen with a mistake in it: no text part shows a charge's reference
        monkeypatch.setattr("dunning_pipeline.delivery.working.preparing.document_of", lambda row, statement: content)
    made = Renderer.message

    def mistaken(self: Renderer, connection: object, row: object, statement: object) -> object:
        message = made(self, connection, row, statement)  # type: ignore[arg-type]
        added = {"html": "<td>OTHER-00002</td></body>", "link": '<a href="https://x.y/OTHER-00002">x</a></body>'}
        return replace(message, html=message.html.replace("</body>", added.get(where, "</body>")))

    monkeypatch.setattr(Renderer, "message", mistaken)
    [key] = desk.queue(statement)
    assert deliver(desk.ws, now=NOW)["failed"] == 1
    assert desk.attempts(key) == ["failed"] and "OTHER-00002" in desk.send(key)["reason"]
    assert desk.outbox() == []


def _printed(source: str, **values: object) -> Print:
    template = _templates.setdefault(source, letter_environment(autoescape=True).from_string(source))
    plate = _plates.setdefault(source, Plate(template))
    pieces = list(template.root_render_func(template.new_context(values)))
    return Print("".join(pieces), pieces, plate)


_templates: dict[str, Template] = {}
_plates: dict[str, Plate] = {}
_LETTER = Message(key="k", channel="email", to=("a@b.example",))


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("<p>INV-{{ a }}</p>", {"a": "00002"}),  # a word of the template's and a value
        ("<p>{{ a }}{{ b }}</p>", {"a": "INV-0", "b": "0002"}),  # of two values
        ("<p>{{ a }}-00002 is open</p>", {"a": "INV"}),
        ("<p>I{{ a }}V-{% if a %}00002{% endif %}</p>", {"a": "N"}),
        ('<a href="https://pay.example/{{ a }}">pay</a>', {"a": "INV-00002"}),
        ("<p>Yours, INV-00002</p>{{ a }}", {"a": "x"}),  # said by the template itself
        ("<p>{% if a %}INV-00002{% endif %}</p>", {"a": True}),
        ("{% macro m(x) %}<p>INV-{{ x }}</p>{% endmacro %}{{ m(a) }}", {"a": "00002"}),
        ("<p>{{ a|paragraphs }}</p>", {"a": "as INV-00002\n\nsays"}),
        ("<p>{{ a }}</p>", {"a": "p"}),
    ],
)
def test_what_is_filled_in_is_seen_however_it_touches_the_template(source: str, values: dict[str, object]) -> None:
    for told in (dict.fromkeys(values, False), values):  # the second time, the template's own words are known
        made = _printed(source, **told)
        seen = words_of(replace(_LETTER, html=made), None)
        assert words_of(replace(_LETTER, html=str(made)), None) <= seen
    assert ("INV-00002" in seen) == ("INV-00002" in made)


@pytest.mark.parametrize("number", ["R-7", "Nº-20517", "RÃ¤-1", "Ä2025", "第12号", "R+D-7", "(R/7)"])
def test_a_short_or_garbled_number_is_seen(number: str) -> None:
    for letter in (
        replace(_LETTER, text=f"Please pay {number}, thank you"),
        replace(_LETTER, text=_printed("Please pay {{ a }}, thank you", a=number)),
    ):
        seen = words_of(letter, None)
        assert number.strip("()") in seen
    assert words_of(replace(_LETTER, text="within 14 days of 2025, 100 in all"), None) == set()


def test_what_one_message_says_is_not_taken_for_the_words_of_its_template() -> None:
    first, second = (_printed("<p>{{ a }} 10042 {{ b }}</p>", a=value, b="x") for value in ("INV-00001", "INV-00002"))
    assert words_of(replace(_LETTER, html=first), None) == {"INV-00001", "10042"}
    assert words_of(replace(_LETTER, html=second), None) == {"INV-00002", "10042"}


def test_a_colour_or_a_width_of_the_template_is_nobodys_number() -> None:
    made = _printed(
        '<td style="color:#333333;width:{{ w }}"><b style="x:444444">{{ a }}</b></td>', w=600, a="INV-00001"
    )
    assert not {"333333", "444444"} & words_of(replace(_LETTER, html=made), None)


def test_each_word_of_a_shipped_message_is_seen(desk: Desk) -> None:
    """Looked at piece by piece or as a whole: the same is found, for every template and language."""
    for file in (desk.ws.root / "templates" / "email").glob("??/*.mjml"):
        version = compile_template(Catalogue(desk.ws).find(file.stem, "email", file.parent.name))
        document = sample_document(desk.ws.root / "templates", file.stem, file.parent.name)
        for _ in range(2):
            made = render_email(version, document)
            message = replace(_LETTER, subject=made.subject, html=made.html, text=made.text)
            whole = replace(message, html=str(made.html), text=str(made.text))
            assert words_of(whole, None) <= words_of(message, None)
