"""Thousands of accounts, each with words of its own: nothing of another account inside any message or PDF."""

import io
import re
from concurrent.futures import ProcessPoolExecutor
from email import message_from_bytes, policy
from multiprocessing import get_context
from pathlib import Path

import pytest

from dunning_pipeline.delivery.working.worker import deliver
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
    from dataclasses import replace

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
