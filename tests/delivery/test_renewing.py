"""A send that failed by its template leaves in the corrected words, when a person says so."""

import pytest
from typer.testing import CliRunner

from dunning_pipeline.cli.main import app
from dunning_pipeline.delivery.renewing import has_newer_template, renew_template
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.versions import publish_all
from tests.delivery.desk import NOW, Desk


def subject(desk: Desk, text: str) -> None:
    """Write the reminder's subject and publish it."""
    file = desk.ws.root / "templates" / "email" / "en" / "friendly_reminder.subject.j2"
    file.write_text(text)
    with desk.engine.begin() as connection:
        publish_all(connection, Catalogue(desk.ws), now=NOW, by="me", names=["friendly_reminder"])


def retry(desk: Desk, key: str, *more: str) -> str:
    told = CliRunner().invoke(app, ["send", "retry", key, *more, "--workspace", str(desk.ws.root)])
    assert told.exit_code == 0, told.output
    return told.output


def test_a_corrected_template_is_taken_when_it_is_asked_for(desk: Desk) -> None:
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    subject(desk, "{{ 1 // (totals.item_count - 1) }}")  # as an author may: fine for two invoices
    statement = desk.statement("acme", lines={"INV-00001": 10000}, language="en")
    [key] = desk.queue(statement)
    assert deliver(desk.ws, now=NOW)["failed"] == 1

    with desk.engine.begin() as connection, pytest.raises(Refused, match="the one that this send has"):
        renew_template(connection, desk.ws, key, now=NOW, actor="me")
    subject(desk, "Corrected")
    assert "--newest-template" in retry(desk, key)  # a pinned version stays until somebody says otherwise
    assert deliver(desk.ws, now=NOW)["failed"] == 1

    assert "--newest-template" not in retry(desk, key, "--newest-template")
    assert desk.queue(statement) == [key]  # the same message still, not another content under its key
    assert deliver(desk.ws, now=NOW)["sent"] == 1
    assert b"Subject: Corrected" in (desk.ws.outbox / f"{key}.eml").read_bytes()


def test_what_has_left_keeps_its_words(desk: Desk) -> None:
    key = desk.message("acme", kind="dunning")
    assert deliver(desk.ws, now=NOW)["sent"] == 1
    subject(desk, "Another")
    with desk.engine.begin() as connection, pytest.raises(Refused, match="is sent"):
        renew_template(connection, desk.ws, key, now=NOW, actor="me")
    with reading(desk.engine) as connection:
        assert has_newer_template(connection, key)
